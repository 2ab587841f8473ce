"""The ways to write as options see them.

What each of them can do is tabulated for users in `entrypoints.capabilities`.
"""

from __future__ import annotations

from spark_klaviyo.core.codes import Choice
from spark_klaviyo.options.choices import OnReject


class EntryPoint(Choice):
    """A way to write, to preview or to check; its text is what it is called in messages."""

    FUNCTION = "function", "write_klaviyo"
    COMMAND = "command", "the command line"
    BATCH = "batch", "klaviyo_batch_writer"
    SOURCE = "source", 'df.write.format("klaviyo")'
    PARTITION = "partition", "klaviyo_partition_writer"
    STREAM = "stream", 'writeStream.format("klaviyo")'
    PREVIEW = "preview", "preview_klaviyo"
    CHECK = "check", "check_klaviyo"
    FOLLOW = "follow", "follow_klaviyo"

    @property
    def has_session(self) -> bool:
        """Whether code of this package runs in the driver before and after the tasks."""
        return self not in TASK_ENTRY_POINTS

    @property
    def counts_rows_first(self) -> bool:
        """Whether rows can be counted before any is sent, as deleting asks for."""
        return self in (EntryPoint.FUNCTION, EntryPoint.COMMAND, EntryPoint.BATCH)

    @property
    def with_session(self) -> EntryPoint:
        """The entry point with a session to use in place of this one."""
        return EntryPoint.BATCH if self is EntryPoint.STREAM else EntryPoint.FUNCTION

    @property
    def default_on_reject(self) -> OnReject:
        """`keep` where raising would run a task again, or stop a query for ever; else `fail`."""
        keeps = self in (EntryPoint.PARTITION, EntryPoint.BATCH, EntryPoint.STREAM)
        return OnReject.KEEP if keeps else OnReject.FAIL


TASK_ENTRY_POINTS = frozenset({EntryPoint.SOURCE, EntryPoint.PARTITION, EntryPoint.STREAM})

# What Spark itself puts among the options of a streaming query.
OPTIONS_OF_SPARK = {EntryPoint.STREAM: ("checkpointlocation", "queryname")}
