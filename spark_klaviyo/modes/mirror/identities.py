"""Who is in a DataFrame and who is on a list, as hashes of identifiers that compare: no person's data is held.

An email counts in lower case, a phone as E.164. A member whose id, email, phone number or external id is that of any
row is in the DataFrame, also where that row was rejected. Two people with one 64-bit hash would be taken for one, so
that at worst somebody stays. A row that names nobody in any of these ways may mean any member: it is `LOST`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_klaviyo.arrow.encoded import PARAMS, record_texts
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.errors import SchemaError
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs.outputs.results import ResultKind, result_batch
from spark_klaviyo.screen import values

KINDS = ("id", "email", "phone_number", "external_id")
NOBODY = 0  # the hash of an identifier that is missing
LOST = 2  # stands in place of the id of a row that names nobody who could be compared
MOST = 30_000_000  # identifiers that the calling process holds at once: 240 MB
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
Hashes = npt.NDArray[np.int64]  # shape (people, 4), in the order of KINDS


def hashed(kind: str, value: object, country: str = "") -> int:
    """The hash of one identifier; 0 where there is none."""
    text = normalise_identifier(kind, _e164(value, country) if kind == "phone_number" else value)
    if not text:
        return NOBODY
    digest = hashlib.blake2b(f"{kind}\x1f{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    made = int.from_bytes(digest, "little", signed=True)
    return made if made not in (NOBODY, LOST) else 1


def _e164(value: object, country: str) -> str:
    """A phone number as Klaviyo holds it, where it can be read; members are compared with rows by it."""
    text = "" if value is None else str(value).strip()
    written = text if E164.fullmatch(text) else values.phone(text, country)
    return written if isinstance(written, str) else text


def names_somebody(kind: str, value: object, country: str = "") -> bool:
    """Whether this identifier may be a member's: an id of any form, an email that is one, a phone in full."""
    text = "" if value is None else str(value).strip()
    if kind == "email":
        return isinstance(values.email(text), str)
    return bool(E164.fullmatch(_e164(value, country))) if kind == "phone_number" else bool(text)


def of_people(people: Iterable[Mapping[str, object]]) -> Hashes:
    """The hashes of people given as mappings of identifiers."""
    rows = [[hashed(kind, person.get(kind)) for kind in KINDS] for person in people]
    return np.array(rows, dtype=np.int64).reshape(-1, len(KINDS))


@dataclass(frozen=True)
class MemberPage:
    """Some members of a list: their profile ids, and the hashes of their identifiers."""

    ids: list[str]
    people: Hashes


def member_pages(pages: Iterable[list[Mapping[str, object]]]) -> Iterator[MemberPage]:
    """Pages of members, as the account gives them, with hashes in place of identifiers."""
    for page in pages:
        yield MemberPage([str(member["id"]) for member in page], of_people(page))


class IdentitySet:
    """A set of people; `has` says which of others are among them."""

    def __init__(self, people: Hashes) -> None:
        flat = np.unique(people)
        self._flat: npt.NDArray[np.int64] = flat[(flat != NOBODY) & (flat != LOST)]

    def __len__(self) -> int:
        return len(self._flat)

    def has(self, others: Hashes) -> npt.NDArray[np.bool_]:
        """For each of these people, whether one of their identifiers is known."""
        if not len(self._flat) or not len(others):
            return np.zeros(len(others), dtype=bool)
        places = np.minimum(np.searchsorted(self._flat, others), len(self._flat) - 1)
        found: npt.NDArray[np.bool_] = ((self._flat[places] == others) & (others != NOBODY)).any(axis=1)
        return found


@dataclass(frozen=True)
class Seen:
    """Reads the people of encoded batches."""

    plan: WritePlan

    def people(self, batch: pa.RecordBatch) -> Hashes:
        """The hashes of each row's identifiers."""
        places = {known.name: known.json_path for known in self.plan.template.fields if known.name in KINDS}
        countries = self._countries(batch)
        rows = []
        for text, country in zip(record_texts(batch), countries, strict=True):
            record = _parsed(text)
            told = [(kind, get(record, places.get(kind, ("",))), country) for kind in KINDS]
            hashes = [hashed(*one) for one in told]
            if not any(names_somebody(*one) for one in told):
                hashes[0] = LOST  # without an id, or it would name somebody
            rows.append(hashes)
        return np.array(rows, dtype=np.int64).reshape(-1, len(KINDS))

    def _countries(self, batch: pa.RecordBatch) -> list[str]:
        country = self.plan.checks.default_country
        if not country.startswith("column:"):
            return [country] * batch.num_rows
        params = (json.loads(text) if text else {} for text in batch.column(PARAMS).to_pylist())
        return [str(aside.get("default_country") or "") for aside in params]


def _parsed(text: str | bytes) -> Json:
    try:
        record: Json = json.loads(text)
    except ValueError:  # a ready-made record that is no JSON is rejected, and tells of nobody
        return {}
    return record if isinstance(record, dict) else {}


def lost(people: Hashes) -> int:
    """How many of these rows name nobody who could be compared."""
    return int(np.count_nonzero(people[:, 0] == LOST))


def comparable(plan: WritePlan) -> WritePlan:
    """The plan, if its rows can name members at all; else a `SchemaError`."""
    named = {wanted.name for wanted in plan.checks.fields if wanted.leaf is not None}
    if plan.record_column is None and not named & set(KINDS):
        raise SchemaError(
            f"list_mode: mirror compares rows with members by {', '.join(KINDS)}, and the DataFrame has none of these "
            "columns; nothing was sent"
        )
    return plan


def packed(people: Hashes) -> str:
    """People as text, to travel among result rows: how many are lost, and each hash once."""
    flat = np.unique(people)
    hashes = flat[(flat != NOBODY) & (flat != LOST)].astype("<i8")
    return f"{lost(people)}:{base64.b64encode(hashes.tobytes()).decode()}"


def unpacked(texts: Iterable[str]) -> tuple[IdentitySet, int]:
    """All people of such texts, and how many rows are lost."""
    halves = [text.partition(":") for text in texts]
    parts = [np.frombuffer(base64.b64decode(text), dtype="<i8") for _, _, text in halves]
    hashes = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return IdentitySet(hashes), sum(int(count) for count, _, _ in halves)


@dataclass(frozen=True)
class WhoTask:
    """Rows of one partition in, who they are out, and nothing is sent; picklable."""

    plan: WritePlan

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        for encoded in encode_batches(batches, self.plan):
            yield result([packed(Seen(self.plan).people(encoded))])


def result(bodies: list[str]) -> pa.RecordBatch:
    """Result rows that tell who was seen: kind, body."""
    return result_batch([(ResultKind.IDENTITIES, body) for body in bodies])
