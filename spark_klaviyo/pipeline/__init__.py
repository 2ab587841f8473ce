"""One task: where the stages meet, with no Spark in it.

`run_task(plan, encoded, line)` reads encoded Arrow batches and yields what became of the rows.
"""
