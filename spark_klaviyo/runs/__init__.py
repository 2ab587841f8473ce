"""What a session does around the tasks: before them, the plan; after them, the report."""
