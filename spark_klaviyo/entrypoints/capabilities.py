"""What each door promises, held or refused. The README prints this table, and every cell of it has a test."""

from __future__ import annotations

from dataclasses import dataclass

HELD, REFUSED = "held", "refused"

# The columns of the table, named as the options module names the doors.
DOOR_NAMES: dict[str, str] = {
    "function": "`write_klaviyo`",
    "command": "`spark-klaviyo write`",
    "batch": "`klaviyo_batch_writer`",
    "source": '`df.write.format("klaviyo")`',
    "partition": "`klaviyo_partition_writer`",
    "stream": '`writeStream.format("klaviyo")`',
}


@dataclass(frozen=True)
class Capability:
    """One promise: `asked` are the options that ask for it (none: it holds unasked), `cells` say which door keeps it.

    A cell is `held` or `refused`; a refused one is an `OptionError` before anything is sent that names another door.
    """

    name: str
    text: str
    cells: dict[str, str]
    asked: tuple[tuple[str, str], ...] = ()


def _everywhere() -> dict[str, str]:
    return dict.fromkeys(DOOR_NAMES, HELD)


def _session_doors() -> dict[str, str]:
    held = {"function", "command", "batch"}
    return {door: HELD if door in held else REFUSED for door in DOOR_NAMES}


CAPABILITIES: tuple[Capability, ...] = (
    Capability("counted", "every row ends in exactly one count, also when Spark runs a task again", _everywhere()),
    Capability("same_requests", "the same rows make the same requests", _everywhere()),
    Capability("bad_rows", "a bad row never fails a task; it is rejected with a code", _everywhere()),
    Capability("refused_key", "a refused key stops the write after one request a task", _everywhere()),
    Capability("unreachable", "an endpoint that cannot be reached stops the write", _everywhere()),
    Capability(
        "on_reject_fail",
        "`on_reject=fail`: rejected rows raise once everything sendable was sent",
        _everywhere() | {"partition": REFUSED},
        (("on_reject", "fail"),),
    ),
    Capability(
        "rejects",
        "`rejects_path`: every rejected row as Parquet, also at `receipts_path` every request",
        _everywhere(),
        (("rejects_path", "PATH"), ("receipts_path", "PATH")),
    ),
    Capability(
        "tables", "`table:` destinations in a catalog", _session_doors(), (("rejects_path", "table:main.crm.rejects"),)
    ),
    Capability(
        "state", "`state_path`: a re-run sends only what is missing", _session_doors(), (("state_path", "PATH"),)
    ),
    Capability("mirror", "`list_mode=mirror`", _session_doors(), (("list_mode", "mirror"),)),
    Capability("changes", "`change_column`: change data", _session_doors(), (("change_column", "_change_type"),)),
    Capability(
        "deletion",
        "deleting people, with `confirm_deletion`",
        _session_doors(),
        (("template", "request_profile_deletion"), ("confirm_deletion", "1")),
    ),
    Capability(
        "from_driver",
        "`send_from=driver`: compute whose tasks have no internet",
        _session_doors(),
        (("send_from", "driver"),),
    ),
)


def markdown_table() -> str:
    """The door table for the README."""
    lines = ["| promise | " + " | ".join(DOOR_NAMES.values()) + " |", "|---|" + "---|" * len(DOOR_NAMES)]
    lines += [f"| {p.text} | " + " | ".join(p.cells[door] for door in DOOR_NAMES) + " |" for p in CAPABILITIES]
    return "\n".join(lines)
