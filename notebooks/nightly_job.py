"""The nightly job of the bundle: writes a table with the options given, `nightly_job.py TABLE NAME=VALUE ...`."""

import sys

from pyspark.sql import SparkSession

from spark_klaviyo import write_klaviyo

table, *options = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
report = write_klaviyo(spark.table(table), **dict(option.split("=", 1) for option in options))
print(report)
