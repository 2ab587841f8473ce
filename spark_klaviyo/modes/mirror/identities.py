"""Who is in a DataFrame and who is on a list, as hashes of identifiers that compare; no identifier itself is held.

A member whose id, email, phone number or external id is that of any row is in the DataFrame, also where that row was
rejected. Two people with the same 64-bit hash count as one, so that at worst somebody stays on the list. A row without
any such identifier may mean any member: it is `UNIDENTIFIED`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.encoded import PARAMS, record_texts
from spark_klaviyo.core.exact_json import Json, get
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.errors import SchemaError
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs.results import ResultKind, result_batch
from spark_klaviyo.screen import values

KINDS = ("id", "email", "phone_number", "external_id")
MISSING = 0  # the hash of an identifier that a row or a member does not have
UNIDENTIFIED = 2  # stands for the id of a row without any identifier that a member could have
MOST = 30_000_000  # identifiers that the calling process holds at once: 240 MB
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
Hashes = npt.NDArray[np.int64]  # shape (people, 4), in the order of KINDS


def comparable_form(kind: str, value: object, country: str = "") -> str:
    """An identifier as Klaviyo compares it: emails in lower case, phones as E.164; empty where there is none.

    `country`: that of national phone numbers. A phone that cannot be read is compared by its digits.
    """
    if kind == "phone_number" and value is not None:
        text = str(value).strip()
        written = text if E164.fullmatch(text) else values.phone(text, country)
        value = written if isinstance(written, str) else text
    return normalise_identifier(kind, value)


def identifies(kind: str, form: str) -> bool:
    """Whether a member can have this identifier, in its comparable form: a valid email, a phone in full, any id."""
    if kind == "email":
        return isinstance(values.email(form), str)
    return bool(E164.fullmatch(form)) if kind == "phone_number" else bool(form)


def hash_identifier(kind: str, form: str) -> int:
    """The hash of an identifier in its comparable form; `MISSING` where it is empty."""
    if not form:
        return MISSING
    digest = hashlib.blake2b(f"{kind}\x1f{form}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    made = int.from_bytes(digest, "little", signed=True)
    return made if made not in (MISSING, UNIDENTIFIED) else 1


def hash_people(people: Iterable[Mapping[str, object]]) -> Hashes:
    """The hashes of people given as mappings of identifiers."""
    rows = [[hash_identifier(kind, comparable_form(kind, person.get(kind))) for kind in KINDS] for person in people]
    return np.array(rows, dtype=np.int64).reshape(-1, len(KINDS))


def hash_rows(batch: pa.RecordBatch, plan: WritePlan) -> Hashes:
    """The hashes of the identifiers of each row of an encoded batch."""
    paths = {field.name: field.json_path for field in plan.template.fields if field.name in KINDS}
    rows = []
    for text, country in zip(record_texts(batch), _countries(batch, plan), strict=True):
        record = _parse(text)
        forms = [(kind, comparable_form(kind, get(record, paths.get(kind, ("",))), country)) for kind in KINDS]
        hashes = [hash_identifier(*one) for one in forms]
        if not any(identifies(*one) for one in forms):
            hashes[0] = UNIDENTIFIED  # such a row has no id, which would identify it
        rows.append(hashes)
    return np.array(rows, dtype=np.int64).reshape(-1, len(KINDS))


def _countries(batch: pa.RecordBatch, plan: WritePlan) -> list[str]:
    country = plan.checks.default_country
    if not country.startswith("column:"):
        return [country] * batch.num_rows
    params = (json.loads(text) if text else {} for text in batch.column(PARAMS).to_pylist())
    return [str(row.get("default_country") or "") for row in params]


def _parse(text: str) -> Json:
    try:
        record: Json = json.loads(text)
    except ValueError:  # a ready-made record that is no JSON is rejected, and identifies nobody
        return {}
    return record if isinstance(record, dict) else {}


class IdentitySet:
    """A set of people, by the hashes of all their identifiers."""

    def __init__(self, people: Iterable[Hashes]) -> None:
        self.hashes = _distinct(np.concatenate([np.empty(0, np.int64), *(hashes.ravel() for hashes in people)]))

    def __len__(self) -> int:
        return len(self.hashes)

    def contains(self, people: Hashes) -> npt.NDArray[np.bool_]:
        """For each of these people, whether one of their identifiers is in the set."""
        if not len(self.hashes) or not len(people):
            return np.zeros(len(people), dtype=bool)
        positions = np.minimum(np.searchsorted(self.hashes, people), len(self.hashes) - 1)
        found: npt.NDArray[np.bool_] = ((self.hashes[positions] == people) & (people != MISSING)).any(axis=1)
        return found


def _distinct(hashes: Hashes) -> Hashes:
    distinct = np.unique(hashes)
    found: Hashes = distinct[(distinct != MISSING) & (distinct != UNIDENTIFIED)]
    return found


def first_identifiers(people: Hashes) -> Hashes:
    """The hash of each row's first identifier; `MISSING` or `UNIDENTIFIED` where it has none."""
    first: Hashes = people[np.arange(len(people)), (people != MISSING).argmax(axis=1)]
    return first


def count_unidentified(people: Hashes) -> int:
    """How many of these rows have no identifier that a member could have."""
    return int(np.count_nonzero(people[:, 0] == UNIDENTIFIED))


def comparable(plan: WritePlan) -> WritePlan:
    """The plan, if its rows can have identifiers that members have; else a `SchemaError`."""
    names = {check.name for check in plan.checks.fields if check.leaf is not None}
    if plan.record_column is None and not names & set(KINDS):
        raise SchemaError(
            f"list_mode: mirror compares rows with members by {', '.join(KINDS)}, and the DataFrame has none of these "
            "columns; nothing was sent"
        )
    return plan


# --- on their way from tasks to the driver ---------------------------------------------------------


def pack(people: Hashes) -> str:
    """People as text: the number of unidentified rows, and each hash once."""
    return f"{count_unidentified(people)}:{base64.b64encode(_distinct(people).astype('<i8').tobytes()).decode()}"


def unpack(texts: Iterable[str]) -> tuple[IdentitySet, int]:
    """All people of such texts, and the number of unidentified rows."""
    parts = [text.partition(":") for text in texts]
    hashes = (np.frombuffer(base64.b64decode(part[2]), dtype="<i8") for part in parts)
    return IdentitySet(hashes), sum(int(part[0]) for part in parts)


def to_results(packed: list[str]) -> pa.RecordBatch:
    """Packed people as result rows."""
    return result_batch([(ResultKind.IDENTITIES, text) for text in packed])


def identify(plan: WritePlan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Who the rows of one partition are, as result rows."""
    for encoded in encode_batches(batches, plan):
        yield to_results([pack(hash_rows(encoded, plan))])
