"""Who the rows of a DataFrame are, and which of them may be another person than they say.

A member whose id, email, phone number or external id is that of any row is in the DataFrame, also where that row is
rejected. A row is in doubt if none of its identifiers can be compared, or if its email or phone cannot be read: unless
another of its identifiers is a member's, it may mean any member. A row that is blank throughout means no one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from spark_klaviyo.arrow.encoded import PARAMS, SPARK_ENCODED, VERDICT, Verdict, record_texts
from spark_klaviyo.batching.encoded_rows import params_of
from spark_klaviyo.core.exact_json import Json, get
from spark_klaviyo.errors import SchemaError
from spark_klaviyo.modes.mirror.identities import (
    KINDS,
    MISSING,
    Hashes,
    IdentitySet,
    cleaned_email,
    comparable_form,
    distinct,
    hash_identifier,
    identifies,
)
from spark_klaviyo.plan.model import OTHER_VALUES, RequestParam, WritePlan
from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.plan.types import TEXT, Field, Type
from spark_klaviyo.runs.tasks import encode_for_spark, sent_columns
from spark_klaviyo.screen.validate_row import validate_row
from spark_klaviyo.state.compare import SENT_AGAIN
from spark_klaviyo.state.format import binary_of, fingerprints_of

WIDTH = len(KINDS) + 1  # hashes of a row: of its identifiers, and of the email that was probably meant
HASH_BYTES = 8
PEOPLE, IN_DOUBT = "people", "in_doubt"  # columns beside those of encoded rows
HELD = pa.schema([*SPARK_ENCODED, (PEOPLE, pa.binary()), (IN_DOUBT, pa.bool_())])
PACKED = pa.schema([("count", pa.int64()), ("people", pa.binary()), ("in_doubt", pa.binary())])
MARKED = pa.schema([*SPARK_ENCODED, (SENT_AGAIN, pa.bool_())])


def comparable(plan: WritePlan) -> WritePlan:
    """The plan, if its rows can have identifiers that members have; else a `SchemaError`."""
    names = {check.name for check in plan.checks.fields if check.leaf is not None}
    if plan.record_column is None and not names & set(KINDS):
        raise SchemaError(
            f"list_mode: mirror compares rows with members by {', '.join(KINDS)}, and the DataFrame has none of these "
            "columns; nothing was sent"
        )
    return plan


def mirrored_columns(df: DataFrame, plan: WritePlan) -> tuple[DataFrame, WritePlan]:
    """What `sent_columns` gives, and whether a row has values in other columns: it is not blank throughout then."""
    numbered = df.toDF(*(f"c{number}" for number in range(len(plan.columns))))
    frame, reduced = sent_columns(numbered, plan)
    others = [
        f.btrim(f.col(name)) != "" if column.type.name in TEXT else f.col(name).isNotNull()
        for name, column in zip(numbered.columns, plan.columns, strict=True)
        if name not in frame.columns
    ]
    if not others:
        return frame, reduced
    has_values = reduce(or_, (f.coalesce(one, f.lit(False)) for one in others))
    column = Field(OTHER_VALUES, Type("boolean"))
    param = RequestParam(OTHER_VALUES, Leaf((OTHER_VALUES,), column.type))
    plan = replace(plan, columns=(*plan.columns, column), params=(*plan.params, param))
    return sent_columns(numbered.withColumn(OTHER_VALUES, has_values), plan)


@dataclass(frozen=True)
class Identified:
    """Some rows: the hashes of each one's identifiers (`WIDTH` of them), and whether it is in doubt."""

    people: Hashes
    in_doubt: npt.NDArray[np.bool_]


def identify(batch: pa.RecordBatch, plan: WritePlan) -> Identified:
    """Who the rows of an encoded batch are, by the identifiers that are sent, or that a rejected row has."""
    paths = {field.name: field.json_path for field in plan.template.fields if field.name in KINDS}
    country = plan.checks.default_country
    rows, in_doubt = [], []
    columns = (record_texts(batch), batch.column(VERDICT).to_pylist(), batch.column(PARAMS).to_pylist())
    for text, verdict, given in zip(*columns, strict=True):
        params = params_of(given)
        record = _parse(_as_sent(plan, text, verdict, params))
        here = params.get("default_country", "") if country.startswith("column:") else country
        found = {} if record is None else {kind: get(record, paths[kind]) for kind in KINDS if kind in paths}
        forms = {kind: comparable_form(kind, found.get(kind), here) for kind in KINDS}
        clear = {kind for kind in KINDS if identifies(kind, forms[kind])}
        unread = {kind for kind in ("email", "phone_number") if _holds_value(found.get(kind))} - clear
        has_values = bool(text.strip()) if record is None else _holds_value(record)
        in_doubt.append((bool(unread) or not clear) and (has_values or params.get(OTHER_VALUES) == "true"))
        meant = cleaned_email(forms["email"])
        further = MISSING if meant == forms["email"] else hash_identifier("email", meant)
        rows.append([*(hash_identifier(kind, forms[kind]) for kind in KINDS), further])
    return Identified(np.array(rows, dtype=np.int64).reshape(-1, WIDTH), np.array(in_doubt, dtype=bool))


def _as_sent(plan: WritePlan, text: str, verdict: int, params: dict[str, str]) -> str:
    """The record with what the exact check repairs; as it is where the row is valid or rejected."""
    if verdict != Verdict.CHECK:
        return text
    sent = validate_row(plan, text.encode("utf-8", "surrogatepass"), params).text
    return text if sent is None else sent.decode()


def _parse(text: str) -> dict[str, Json] | None:
    try:
        record: Json = json.loads(text)
    except (ValueError, RecursionError):  # a ready-made record that is no JSON is rejected
        return None
    return record if isinstance(record, dict) else None


def _holds_value(value: Json, depth: int = 0) -> bool:
    """Whether there is more in it than nulls and blank text; the types that JSON:API puts into a record are nothing."""
    if isinstance(value, dict):
        return any(_holds_value(one, depth + 1) for name, one in value.items() if depth or name != "type")
    if isinstance(value, list):
        return any(_holds_value(one, depth + 1) for one in value)
    return bool(value.strip()) if isinstance(value, str) else value is not None


# --- in Spark's tasks -----------------------------------------------------------------------------


def encode_and_identify(plan: WritePlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The encoded rows of one partition, and who they are."""
    for encoded in encode_for_spark(plan, batches):
        rows = identify(encoded, plan)
        columns = [*encoded.columns, binary_of(rows.people.view(np.uint8)), pa.array(rows.in_doubt)]
        yield pa.RecordBatch.from_arrays(columns, schema=HELD)


def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A row for each batch of held rows, as `pack_people` makes it."""
    for batch in batches:
        yield pa.RecordBatch.from_pylist([pack_people(_held(batch))], schema=PACKED)


def pack_people(rows: Identified) -> dict[str, object]:
    """The number of rows, each hash once, and the hashes of rows in doubt."""
    return {
        "count": len(rows.in_doubt),
        "people": distinct([rows.people]).tobytes(),
        "in_doubt": rows.people[rows.in_doubt].tobytes(),
    }


def mark_absent(absent: Hashes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The held rows with a mark on those whose people are not on the list: all their identifiers are `absent`.

    A phone counts where a row has nothing else: another member may share it.
    """
    phone = KINDS.index("phone_number")
    for batch in batches:
        people = _held(batch).people
        gone, others = np.isin(people, absent) | (people == MISSING), np.arange(WIDTH) != phone
        has_others = (people[:, others] != MISSING).any(axis=1)
        is_absent = gone[:, others].all(axis=1) & (has_others | gone[:, phone])
        columns = [batch.column(name) for name in SPARK_ENCODED.names]
        yield pa.RecordBatch.from_arrays([*columns, pa.array(is_absent)], schema=MARKED)


def _held(batch: pa.RecordBatch) -> Identified:
    people = fingerprints_of(batch.column(PEOPLE), WIDTH * HASH_BYTES).view("<i8")
    return Identified(people, batch.column(IN_DOUBT).to_numpy(zero_copy_only=False))


# --- in the calling process -----------------------------------------------------------------------


@dataclass(frozen=True)
class RowPeople:
    """The people of all rows; `in_doubt` has the hashes of each row that may mean any member."""

    count: int
    people: IdentitySet
    in_doubt: Hashes

    @staticmethod
    def unpack(rows: Iterable[Any]) -> RowPeople:
        """From what `pack` made of all rows."""
        packed = list(rows)
        in_doubt = np.frombuffer(b"".join(row["in_doubt"] for row in packed), np.int64).reshape(-1, WIDTH)
        people = IdentitySet(np.frombuffer(row["people"], np.int64) for row in packed)
        return RowPeople(sum(row["count"] for row in packed), people, in_doubt)

    @staticmethod
    def of(rows: Iterable[Identified]) -> RowPeople:
        """Of rows that this process has identified itself."""
        return RowPeople.unpack(map(pack_people, rows))

    def count_unplaced(self) -> int:
        """How many rows may mean any member: those in doubt that have no identifier of a member that was compared."""
        return int(np.count_nonzero(~self.people.found.contains(self.in_doubt)))
