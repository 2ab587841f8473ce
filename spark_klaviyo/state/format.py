"""What was delivered, kept between runs: the format of a state, its scope and its keys. Hashes only, nobody's data.

`state_path` is a folder of Parquet files, written side by side and never changed, one row for each row that reached its
outcome:

scope        hash of the account, the template and its settings
key          hash of the row's identifier (of an event's unique id), salted with the scope; null where
             the row tells of a job
fingerprint  hash of the mapped record
outcome      sent | pending (its job is not known to have ended) | refused (by its job);
             where sending twice could do harm also: begun (written down before it is sent: with nothing after it, the
             row is in doubt) | over (it was refused, or not sent at all);
             of a job: taken | lost
job_id, run_id, partition_id, run_number (counts the runs of a state: no clock orders them), at

For each key the last row by (run_number, at) counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FORMAT = 1
FORMAT_FILE = "_format.json"
PART = "part-"  # rows, written by tasks
JOBS = "jobs-"  # ends of jobs, and the rows that they refused
COMPACT = "compact-"  # rows that stand, gathered from many files
DATASET = (PART, JOBS, COMPACT)

SENT, PENDING, REFUSED = "sent", "pending", "refused"
INTENT, RESOLVED = "begun", "over"
TAKEN, LOST = "taken", "lost"

SCHEMA = pa.schema(
    [
        ("scope", pa.binary()),
        ("key", pa.binary()),
        ("fingerprint", pa.binary()),
        ("outcome", pa.string()),
        ("job_id", pa.string()),
        ("run_id", pa.string()),
        ("partition_id", pa.int32()),
        ("run_number", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
    ]
)
DDL = (
    "scope binary, key binary, fingerprint binary, outcome string, job_id string, run_id string, "
    "partition_id int, run_number bigint, at timestamp"
)

HASH = 16  # bytes of a scope, a key, a fingerprint
MARK = 2 * HASH  # a row's key and fingerprint, side by side
Marks = npt.NDArray[np.uint8]  # shape (rows, MARK)


class StateError(ValueError):
    """The state at `state_path` cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class StatePlace:
    """Where the tasks of one run keep their record."""

    path: str = field(repr=False)  # a URI may hold the secrets of a store
    scope: bytes
    run_id: str
    run_number: int = 0
    stale_seconds: float = 15.0  # a holder that gives no sign of life for so long is taken for dead


def scope_of(account: str, endpoint: Mapping[str, object]) -> bytes:
    """The hash that keeps accounts, templates and lists apart; the order of `endpoint` makes no difference."""
    text = json.dumps([FORMAT, account, endpoint], sort_keys=True, ensure_ascii=False)
    return digest(text)


def key_text(parts: list[str]) -> str:
    """An identifier as one text: its field, its value, and what belongs to it."""
    return "\x1f".join(parts)


def salted(scope: bytes, text: str) -> bytes:
    """The hash of a key or a record within its scope."""
    return digest(scope.hex() + "\n" + text)


def digest(text: str) -> bytes:
    """The first 128 bits of SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:HASH]


def read_format(content: bytes | None) -> int:
    """How many runs a state has seen, from its format file; 0 where there is none yet.

    Raises `StateError` for a format that is not ours.
    """
    if content is None:
        return 0
    try:
        told = json.loads(content)
        version, runs = told["format"], int(told["runs"])
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"its {FORMAT_FILE} cannot be read: is this a state_path?") from error
    if version != FORMAT:
        raise StateError(
            f"its format is {version!r} and this version reads {FORMAT}: use the version of spark_klaviyo "
            "that wrote it, or another folder"
        )
    return runs


def format_content(runs: int) -> bytes:
    """What stands in the format file."""
    return json.dumps({"format": FORMAT, "runs": runs}).encode()


def marks_of(column: pa.Array, width: int = MARK) -> Marks:
    """The marks (or hashes) of an Arrow column of binary values without nulls, each `width` bytes long."""
    if not len(column):
        return np.empty((0, width), np.uint8)
    _, starts, body = column.buffers()
    first = int(np.frombuffer(starts, dtype=np.int32)[column.offset])
    held = np.frombuffer(body, dtype=np.uint8)
    return held[first : first + len(column) * width].reshape(-1, width)
