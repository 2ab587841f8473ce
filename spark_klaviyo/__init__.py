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
    from spark_klaviyo.entrypoints.function import follow_klaviyo, preview_klaviyo, write_klaviyo
    from spark_klaviyo.errors import KlaviyoError, KlaviyoWarning, OptionError, SchemaError
    from spark_klaviyo.report.report import RowsRejected, WriteReport, WriteStopped
    from spark_klaviyo.state.rows import compact_state

_NAMES = {
    "check.check": ("check_klaviyo",),
    "entrypoints.datasource": ("KlaviyoDataSource", "register"),
    "entrypoints.foreach_batch": ("klaviyo_batch_writer",),
    "entrypoints.foreach_partition": ("klaviyo_partition_writer",),
    "entrypoints.function": ("follow_klaviyo", "preview_klaviyo", "write_klaviyo"),
    "errors": ("KlaviyoError", "KlaviyoWarning", "OptionError", "SchemaError"),
    "report.report": ("RowsRejected", "WriteReport", "WriteStopped"),
    "state.rows": ("compact_state",),
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
    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"spark_klaviyo.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
