"""What a run needs of Spark: facts of session and task, the columns to read, connectivity of tasks, interruption."""
