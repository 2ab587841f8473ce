"""The doors, and what those without a session before and after their tasks cannot take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spark_klaviyo.options.addresses import is_table

# How each door is called in messages.
DOORS: dict[str, str] = {
    "function": "write_klaviyo",
    "source": 'df.write.format("klaviyo")',
    "partition": "klaviyo_partition_writer",
    "batch": "klaviyo_batch_writer",
    "stream": 'writeStream.format("klaviyo")',
    "command": "the command line",
    "preview": "preview_klaviyo",
    "check": "check_klaviyo",
    "follow": "follow_klaviyo",
}
TASK_DOORS = frozenset({"source", "partition", "stream"})
SESSION_DOORS = frozenset(DOORS) - TASK_DOORS

# What Spark itself puts among the options of a streaming query.
SPARKS_OWN: Mapping[str, frozenset[str]] = {"stream": frozenset({"checkpointlocation", "queryname"})}


def default_on_reject(door: str) -> str:
    """`keep` where raising would run a task again, or stop a query for ever; else `fail`."""
    return "keep" if door in ("partition", "batch", "stream") else "fail"


def door_that_has_it(door: str) -> str:
    """The session door to use instead of this task door."""
    return DOORS["batch"] if door == "stream" else DOORS["function"]


def refusals(door: str, given: Mapping[str, object]) -> Iterator[str]:
    """Complaints about values that this door cannot keep its word on."""
    if door == "partition" and given.get("on_reject") == "fail":
        yield (
            "on_reject: fail is not possible at klaviyo_partition_writer, where Spark runs a task that raises again "
            "and sends its rows again; use keep, or write_klaviyo"
        )
    if door not in TASK_DOORS:
        return
    instead = f"{DOORS[door]} has no session before and after its tasks; use {door_that_has_it(door)}"
    if given.get("send_from") == "driver":
        yield f"send_from: driver is not possible here: {instead}"
    for name in ("rejects_path", "receipts_path", "runs_path"):
        if is_table(str(given.get(name, ""))):
            yield f"{name}: table: is not possible here: {instead}, or give a path"
