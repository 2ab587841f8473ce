"""The ways to write as options see them, and what those without a session before and after their tasks refuse.

What each of them can do is tabulated for users in `entrypoints.capabilities`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spark_klaviyo.core.choices import Choice
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.options.choices import OnReject, SendFrom


class EntryPoint(Choice):
    """A way to write, to preview or to check; its text is what it is called in messages."""

    FUNCTION = "function", "write_klaviyo"
    SOURCE = "source", 'df.write.format("klaviyo")'
    PARTITION = "partition", "klaviyo_partition_writer"
    BATCH = "batch", "klaviyo_batch_writer"
    STREAM = "stream", 'writeStream.format("klaviyo")'
    COMMAND = "command", "the command line"
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
SESSION_ENTRY_POINTS = frozenset(EntryPoint) - TASK_ENTRY_POINTS

# What Spark itself puts among the options of a streaming query.
OPTIONS_OF_SPARK: Mapping[EntryPoint, frozenset[str]] = {
    EntryPoint.STREAM: frozenset({"checkpointlocation", "queryname"})
}


def refusals(entry_point: EntryPoint, given: Mapping[str, object]) -> Iterator[str]:
    """Complaints about values that this entry point cannot honour."""
    if entry_point is EntryPoint.PARTITION and given.get("on_reject") is OnReject.FAIL:
        yield (
            "on_reject: fail is not possible at klaviyo_partition_writer, where Spark runs a task that raises again "
            "and sends its rows again; use keep, or write_klaviyo"
        )
    if entry_point.has_session:
        return
    instead = f"{entry_point.text} has no session before and after its tasks; use {entry_point.with_session.text}"
    if given.get("send_from") is SendFrom.DRIVER:
        yield f"send_from: driver is not possible here: {instead}"
    for name in ("rejects_path", "receipts_path", "runs_path"):
        if is_table(str(given.get(name, ""))):
            yield f"{name}: table: is not possible here: {instead}, or give a path"
