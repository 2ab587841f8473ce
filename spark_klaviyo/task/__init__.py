"""One partition, from its first Arrow batch to its report. No Spark in it."""
