"""The format of a state: its files, columns, scopes and hashes. It holds hashes only, no value of a row and no key.

`state_path` is a folder of Parquet files that are written side by side, once, under names that no two writers share,
and never renamed. Each row says what became of one row of a write, or of one asynchronous job (`COLUMNS`). For each key
the last row by (run_number, at) counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.arrays import bytes_and_offsets
from spark_klaviyo.datasets.schemas import Column, arrow_schema

FORMAT = 1
FORMAT_FILE = "_format.json"
PART = "part-"  # rows, written by tasks
JOBS = "jobs-"  # ends of jobs, and the rows that they refused
REMOVED = "removed-"  # who was taken off a list, or erased
COMPACT = "compact-"  # what is left of many files after compaction

COLUMNS = (
    Column("scope", "binary", "hash of the account, the template and its settings"),
    Column("key", "binary", "hash of the row's identifier within the scope; null where the row describes a job"),
    Column("fingerprint", "binary", "hash of the mapped record within the scope"),
    Column("outcome", "string", "a `StateOutcome`"),
    Column("job_id", "string", "Klaviyo's asynchronous job, where there is one"),
    Column("run_id", "string", "names the run"),
    Column("partition_id", "int", "Spark's partition; -1 for the calling process"),
    Column("run_number", "bigint", "counts the runs of a state, so that no clock orders them"),
    Column("at", "timestamp", "when it was recorded"),
)
SCHEMA = arrow_schema(COLUMNS)

HASH_BYTES = 16  # of a scope, a key, a fingerprint
FINGERPRINT_BYTES = 2 * HASH_BYTES  # while rows travel, the hashes of their key and their record stand side by side
Fingerprints = npt.NDArray[np.uint8]  # shape (rows, FINGERPRINT_BYTES)


class StateOutcome(StrEnum):
    """What a row of the state says. The values are those in the files."""

    SENT = "sent"
    PENDING = "pending"  # accepted by a job that is not known to have ended
    REFUSED = "refused"  # by its job
    INTENT = "begun"  # about to be sent where a second delivery does harm; in doubt while nothing later is recorded
    RESOLVED = "over"  # after an intent: it was refused, or not sent at all
    JOB_DONE = "taken"  # of a job: it has ended, and took all rows but the refused ones
    JOB_LOST = "lost"  # of a job: its rows have to be sent again
    REMOVED = "removed"  # of a person and a list, hashed in `fingerprint` (empty: erased): additions count no more


class RowStatus(IntEnum):
    """What comparing a row with the state has found."""

    TO_SEND = 0
    DELIVERED = 1
    REPLACED = 2
    IN_DOUBT = 3


def scope_of(account: str, endpoint: Mapping[str, object]) -> bytes:
    """The hash that keeps accounts, templates and lists apart; the order of `endpoint` makes no difference."""
    return digest(json.dumps([FORMAT, account, endpoint], sort_keys=True, ensure_ascii=False))


def salted(scope: bytes, text: str) -> bytes:
    """The hash of a key within its scope."""
    return digest(scope.hex() + "\n" + text)


def digest(text: str) -> bytes:
    """The first 128 bits of SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:HASH_BYTES]


def fingerprints_of(column: pa.Array, width: int = FINGERPRINT_BYTES) -> Fingerprints:
    """A binary Arrow column without nulls, each value `width` bytes long, as a matrix of bytes; not copied."""
    content, _ = bytes_and_offsets(column)
    return content.reshape(-1, width)


def binary_of(hashes: Fingerprints) -> pa.Array:
    """A matrix of bytes as a binary Arrow column, each row of it a value."""
    rows, width = hashes.shape
    content = pa.py_buffer(np.ascontiguousarray(hashes))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, content]).cast(pa.binary())
