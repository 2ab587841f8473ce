"""What each way to write can do, as one table. The README prints it, and every cell has a test."""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.options.entrypoints import TASK_ENTRY_POINTS, EntryPoint

# The columns of the table.
WRITING = tuple(point for point in EntryPoint if point not in (EntryPoint.PREVIEW, EntryPoint.CHECK, EntryPoint.FOLLOW))
ALL = frozenset(WRITING)
SESSION = ALL - TASK_ENTRY_POINTS


@dataclass(frozen=True)
class Capability:
    """One thing that a write can do.

    `options` ask for it (none: it always holds). Entry points that are not in `supported` refuse these options with an
    `OptionError` before anything is sent, which names an entry point that has it.
    """

    name: str
    text: str
    supported: frozenset[EntryPoint] = ALL
    options: tuple[tuple[str, str], ...] = ()


CAPABILITIES: tuple[Capability, ...] = (
    Capability(
        "counted",
        "every row ends in exactly one count, also when Spark runs a task again: tested in 1,656 combinations of a "
        "fault, its moment and a rule of resending",
    ),
    Capability("same_requests", "the same rows make the same requests"),
    Capability("bad_rows", "a bad row never fails a task; it is rejected with a code"),
    Capability(
        "refused_key",
        "a refused key stops the write after the requests in flight (without a session: on each executor)",
    ),
    Capability(
        "stopped",
        "a write that stops midway, also for a full disk, raises with its whole report (`foreachPartition`: "
        "only where nothing was sent or sending again is harmless; else it logs an error, and `report` holds it)",
    ),
    Capability("unreachable", "an endpoint that cannot be reached stops the write"),
    Capability(
        "on_reject_fail",
        "`on_reject=fail`: rejected rows raise once everything sendable was sent",
        ALL - {EntryPoint.PARTITION},
        (("on_reject", "fail"),),
    ),
    Capability(
        "rejects",
        "`rejects_path`: every rejected row as Parquet; `receipts_path`: every request",
        ALL,
        (("rejects_path", "PATH"), ("receipts_path", "PATH")),
    ),
    Capability("tables", "`table:` destinations in a catalog", SESSION, (("rejects_path", "table:main.crm.rejects"),)),
    Capability("state", "`state_path`: a re-run sends only what is missing", SESSION, (("state_path", "PATH"),)),
    Capability("mirror", "`list_mode=mirror`", SESSION - {EntryPoint.BATCH}, (("list_mode", "mirror"),)),
    Capability("changes", "`change_column`: change data", SESSION, (("change_column", "_change_type"),)),
    Capability(
        "deletion",
        "deleting people, with `confirm_deletion`",
        SESSION,
        (("template", "request_profile_deletion"), ("confirm_deletion", "1")),
    ),
    Capability(
        "merging",
        "merging profiles, with `confirm_deletion`",
        SESSION,
        (("template", "merge_profiles"), ("fields", '{"id":"stays","profiles":"goes"}'), ("confirm_deletion", "1")),
    ),
    Capability(
        "erasing_url",
        "manual mode to a URL that deletes or merges people, with `confirm_deletion`",
        SESSION,
        (("url", "https://a.klaviyo.com/api/profile-merge"), ("confirm_deletion", "1")),
    ),
    Capability("account", "`account_id`: any other account is refused before anything is sent"),
    Capability(
        "denials",
        "a row that says no to being subscribed counts for every row of its person (without a session: in its "
        "partition)",
    ),
    Capability("key_hosts", "the key goes to Klaviyo, to this machine and to `trusted_hosts` alone"),
    Capability("from_driver", "`send_from=driver`: tasks without internet access", SESSION, (("send_from", "driver"),)),
)
