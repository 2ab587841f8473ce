"""One write on a Spark session: runs the tasks, follows the jobs, gathers the report."""
