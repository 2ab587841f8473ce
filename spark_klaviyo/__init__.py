"""spark_klaviyo: any Spark DataFrame into Klaviyo, and a word on what became of every row.

    from spark_klaviyo import write_klaviyo

    report = write_klaviyo(profiles, template="add_profiles_to_list", list_id="Y6nRLr")
    print(report)

Names are loaded when first used, so that importing the package starts neither Spark nor an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# Not lazy: importing the room of this name later would put the room in the function's place.
from spark_klaviyo.templates import templates

if TYPE_CHECKING:
    from spark_klaviyo.ask.check import check_klaviyo
    from spark_klaviyo.ask.preview import preview_klaviyo
    from spark_klaviyo.doors.follow import follow_klaviyo
    from spark_klaviyo.doors.function import write_klaviyo
    from spark_klaviyo.doors.partition import klaviyo_partition_writer
    from spark_klaviyo.doors.source import KlaviyoDataSource, register
    from spark_klaviyo.doors.stream import klaviyo_batch_writer
    from spark_klaviyo.errors import KlaviyoError, OptionError, RowsRejected, SchemaError, WriteStopped
    from spark_klaviyo.report.report import WriteReport

_HOME = {
    "write_klaviyo": "spark_klaviyo.doors.function",
    "preview_klaviyo": "spark_klaviyo.ask.preview",
    "check_klaviyo": "spark_klaviyo.ask.check",
    "follow_klaviyo": "spark_klaviyo.doors.follow",
    "klaviyo_partition_writer": "spark_klaviyo.doors.partition",
    "klaviyo_batch_writer": "spark_klaviyo.doors.stream",
    "register": "spark_klaviyo.doors.source",
    "KlaviyoDataSource": "spark_klaviyo.doors.source",
    "WriteReport": "spark_klaviyo.report.report",
    "KlaviyoError": "spark_klaviyo.errors",
    "OptionError": "spark_klaviyo.errors",
    "SchemaError": "spark_klaviyo.errors",
    "WriteStopped": "spark_klaviyo.errors",
    "RowsRejected": "spark_klaviyo.errors",
}

__version__ = "0.1.0"
__all__ = [
    "KlaviyoDataSource",
    "KlaviyoError",
    "OptionError",
    "RowsRejected",
    "SchemaError",
    "WriteReport",
    "WriteStopped",
    "check_klaviyo",
    "follow_klaviyo",
    "klaviyo_batch_writer",
    "klaviyo_partition_writer",
    "preview_klaviyo",
    "register",
    "templates",
    "write_klaviyo",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
