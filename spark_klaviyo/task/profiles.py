"""Reads profiles by the identifiers of a batch's rows, and gives rows other texts by what was found.

spec: the filters `any(email,[...])`, `any(phone_number,[...])`, `any(external_id,[...])` and `any(id,[...])` of
`/api/profiles`, the first two also of `/api/lists/{id}/profiles`; page size 100.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode, StopCode
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.models import Batch, EncodedRows, Rejection, Span
from spark_klaviyo.deliver.isolate import rejections
from spark_klaviyo.deliver.reads import MOST_VALUES, Query, Reader, ReadFailed, ReadTarget, any_of
from spark_klaviyo.http.documents import Fault
from spark_klaviyo.templates.limits import L

MOST_PAGES = 50  # of one look-up: far more than profiles that share 100 identifiers
PROFILES = ReadTarget("/api/profiles", L)
Why: TypeAlias = tuple[RejectCode, str]  # a row is rejected: the code, and the reason in words

# --- reads ----------------------------------------------------------------------------------------


def wanted_form(identifier: str, value: str) -> str:
    """An identifier as it is asked for and compared.

    External ids stay as they are: another spelling may be another profile.
    """
    return value if identifier == "external_id" else normalise_identifier(identifier, value)


def in_parts(identifier: str, values: Iterable[str]) -> Iterator[list[str]]:
    """The distinct values of an identifier as they are asked for, as many at once as one read takes."""
    wanted = list(filter(None, dict.fromkeys(wanted_form(identifier, value) for value in values)))
    return (wanted[start : start + MOST_VALUES] for start in range(0, len(wanted), MOST_VALUES))


def asking_for(target: ReadTarget, identifier: str, values: list[str], *shown: str, more: Query = ()) -> ReadTarget:
    """The read of the profiles with these values of an identifier, and of their attributes in `shown`."""
    attributes = ",".join(name for name in dict.fromkeys((identifier, *shown)) if name != "id")
    asked = ("filter", any_of(identifier, values))
    return replace(target, query=(("fields[profile]", attributes), asked, ("page[size]", "100"), *more))


def find_profiles(
    reader: Reader,
    identifier: str,
    values: Iterable[str],
    target: ReadTarget = PROFILES,
    wanted: str = "id",
    of_rows: StopCode | None = None,
) -> tuple[dict[str, list[str]], str]:
    """The ids of the profiles that have these values of an identifier, by `wanted_form`; a family shares a phone.

    And why they could not be read, empty where they were. `wanted`: another identifier in place of the id; empty for a
    profile that lacks it. Raises `ReadFailed` for what any rows would meet, and `of_rows` only these.
    """
    found: dict[str, list[str]] = {}
    targets = (asking_for(target, identifier, part, wanted) for part in in_parts(identifier, values))
    try:
        pages = chain.from_iterable(reader.pages(one, MOST_PAGES) for one in targets)
        for profile in chain.from_iterable(page.resources for page in pages):
            value, name = profile.get(identifier), profile.get(wanted) or ""
            if isinstance(value, str) and isinstance(name, str):
                found.setdefault(wanted_form(identifier, value), []).append(name)
    except ReadFailed as failed:
        if failed.code.affects_every_request and failed.code is not of_rows:
            raise
        return {}, failed.message
    return found, ""


# --- rows of a batch ------------------------------------------------------------------------------


def parsed(batch: Batch) -> list[Json]:
    """The records of a batch."""
    return [exact_json.loads(record) for record in batch.records()]


def barred_rows(batch: Batch, barred: Mapping[int, Why]) -> tuple[Rejection, ...]:
    """The rows at these positions as rejected, each for its reason."""
    return rejections(batch, {at: Fault(code, detail=detail) for at, (code, detail) in barred.items()}, None)


def without(batch: Batch, gone: Collection[int]) -> Batch | None:
    """The batch without the rows at these positions; None where no row is left."""
    return None if len(gone) == batch.rows else batch.without(set(gone)) if gone else batch


def with_texts(batch: Batch, texts: Mapping[int, bytes]) -> Batch:
    """The rows at these positions with other texts; rejections keep the records that were given."""
    separator, chosen = batch.envelope.separator, np.array(list(texts), dtype=np.int64)
    pieces = [text + separator for text in texts.values()]
    fingerprints = batch.fingerprints()
    encoded_rows = EncodedRows(
        memoryview(b"".join(pieces)),
        np.cumsum([0, *map(len, pieces)], dtype=np.int64),
        batch.numbers()[chosen],
        pa.nulls(len(chosen), pa.string()),
        fingerprints[chosen] if len(fingerprints) else None,
        np.array(list(batch.records()), dtype=np.object_)[chosen],
    )
    return replace(batch, spans=(Span(encoded_rows, 0, len(encoded_rows)),))
