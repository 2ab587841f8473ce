"""spark_klaviyo writes any Spark DataFrame to Klaviyo, and reports what became of every row.

    from spark_klaviyo import write_klaviyo

    report = write_klaviyo(profiles, template="add_profiles_to_list", list_id="Y6nRLr")
    print(report)

Names are loaded when first used, so that importing the package starts neither Spark nor an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from spark_klaviyo.core.version import __version__ as __version__

# Not lazy: importing the folder of this name later would put the folder in the function's place.
from spark_klaviyo.templates import templates

if TYPE_CHECKING:
    from spark_klaviyo.check.check import check_klaviyo
    from spark_klaviyo.entrypoints.datasource import KlaviyoDataSource, register
    from spark_klaviyo.entrypoints.foreach_batch import klaviyo_batch_writer
    from spark_klaviyo.entrypoints.foreach_partition import klaviyo_partition_writer
    from spark_klaviyo.entrypoints.function import follow_klaviyo, write_klaviyo
    from spark_klaviyo.errors import KlaviyoError, KlaviyoWarning, OptionError, SchemaError
    from spark_klaviyo.preview.preview import preview_klaviyo
    from spark_klaviyo.report.report import RowsRejected, WriteReport, WriteStopped
    from spark_klaviyo.state.rows import compact_state

_MODULES = {
    "KlaviyoDataSource": "entrypoints.datasource",
    "KlaviyoError": "errors",
    "KlaviyoWarning": "errors",
    "OptionError": "errors",
    "RowsRejected": "report.report",
    "SchemaError": "errors",
    "WriteReport": "report.report",
    "WriteStopped": "report.report",
    "check_klaviyo": "check.check",
    "compact_state": "state.rows",
    "follow_klaviyo": "entrypoints.function",
    "klaviyo_batch_writer": "entrypoints.foreach_batch",
    "klaviyo_partition_writer": "entrypoints.foreach_partition",
    "preview_klaviyo": "preview.preview",
    "register": "entrypoints.datasource",
    "write_klaviyo": "entrypoints.function",
}

__all__ = [
    "KlaviyoDataSource",
    "KlaviyoError",
    "KlaviyoWarning",
    "OptionError",
    "RowsRejected",
    "SchemaError",
    "WriteReport",
    "WriteStopped",
    "check_klaviyo",
    "compact_state",
    "follow_klaviyo",
    "klaviyo_batch_writer",
    "klaviyo_partition_writer",
    "preview_klaviyo",
    "register",
    "templates",
    "write_klaviyo",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"spark_klaviyo.{_MODULES[name]}"), name)
