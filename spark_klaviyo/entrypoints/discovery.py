"""Lets Spark 4 find `format("klaviyo")` without registering: the distribution installs this file as `pyspark_klaviyo`.

Spark imports every top-level module named `pyspark_*` and takes its `DefaultSource`, in each session that uses any
Python data source. So this imports nothing that Spark has not imported already, and raises nothing: one broken module
of that name hides all sources. The rest of the package is imported with the first write, for the start-up time
of sessions that never write here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql.datasource import DataSourceStreamWriter, DataSourceWriter
    from pyspark.sql.types import StructType

try:
    from pyspark.sql.datasource import DataSource
except ImportError:  # Spark 3.5 has no data sources to find
    pass
else:

    class DefaultSource(DataSource):  # type: ignore[misc]  # pyspark is not typed here
        """The data source `klaviyo`, for writing only; `spark_klaviyo.KlaviyoDataSource` does the work."""

        @classmethod
        def name(cls) -> str:
            """The name that `format(...)` takes."""
            return "klaviyo"

        def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
            """The batch writer."""
            from spark_klaviyo.entrypoints.datasource import KlaviyoDataSource

            return KlaviyoDataSource(self.options).writer(schema, overwrite)

        def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:  # noqa: N802  # Spark's
            """The stream writer; Spark passes both by keyword."""
            from spark_klaviyo.entrypoints.datasource import KlaviyoDataSource

            return KlaviyoDataSource(self.options).streamWriter(schema, overwrite)
