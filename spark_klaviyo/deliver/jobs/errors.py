"""The rows that a job names as failed, read from its errors: which record, and why; each row once.

Import errors repeat the row (`original_payload`); catalog and coupon errors name it by `meta.id`. The pointer of an
asynchronous error promises no index, so rows are told by their identifiers alone: several errors with the same ones
mean one row, as a batch never holds two of them. No body is kept to compare with, so that open jobs stay cheap: who a
row is, is what Klaviyo repeats of it; how many rows failed is bounded by what Klaviyo counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.http.documents import clean
from spark_klaviyo.templates.model import Template

BESIDE = ("id", "type", "meta", "relationships")  # what stands beside the attributes of a record
Names = tuple[str, ...]


@dataclass
class Failures:
    """What one job's errors have named so far, `most` rows at most.

    `nameless`: errors that name no row; `beyond`: rows that were named on top of `most`; `gone`: rows whose errors say
    no more than that the wanted state is reached, as it was before.
    """

    template: Template
    most: int
    named: int = 0
    nameless: int = 0
    beyond: int = 0
    _errors: set[str] = field(default_factory=set)
    _rows: set[Names] = field(default_factory=set)
    _gone: set[Names] = field(default_factory=set)

    @property
    def gone(self) -> int:
        """Rows that need nothing done."""
        return len(self._gone - self._rows)

    def take(self, errors: Iterable[Mapping[str, object]]) -> list[Rejection]:
        """The rows that these errors are the first to name; their `row` is -1, as nobody knows its number."""
        found = []
        for error in errors:
            mark = str(error.get("id") or "")
            if mark and mark in self._errors:
                continue
            self._errors.add(mark)
            record = _record(error, self.template)
            names = _names(record, self.template)
            if not any(names):
                self.nameless += 1
            elif _is_done(error, self.template):
                self._gone.add(names)
            elif names not in self._rows:
                self._rows.add(names)
                found.append((error, record))
        room = max(self.most - self.named - self.gone, 0)
        self.named += len(found[:room])
        self.beyond += len(found[room:])
        return [_rejection(error, json.dumps(record, ensure_ascii=False)) for error, record in found[:room]]


def _is_done(error: Mapping[str, object], template: Template) -> bool:
    """Whether the error says that there is nothing to do: what should be deleted does not exist."""
    wanted = template.job.already_satisfied if template.job is not None else ""
    return bool(wanted) and re.search(wanted, _text(error.get("detail"))) is not None


def _rejection(error: Mapping[str, object], record: str) -> Rejection:
    source = error.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else ""
    return Rejection(
        row=-1,
        record=record,
        code=_text(error.get("code")) or RejectCode.REFUSED,
        detail=_text(error.get("detail")) or _text(error.get("title")) or "the row failed in Klaviyo's job",
        pointer=_text(pointer),
    )


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


# --- which record ---------------------------------------------------------------------------------


def _names(record: Mapping[str, object], template: Template) -> Names:
    """All identifiers of a record, empty where it has them not; emails ignore case."""
    wanted = {*template.identifiers, *template.key}
    paths = (known.json_path for known in template.fields if known.name in wanted and known.json_path != ("id",))
    return tuple(normalise_identifier(path[-1], get(record, path)) for path in (("id",), *paths))


def _record(error: Mapping[str, object], template: Template) -> dict[str, object]:
    """The row as a record that can be written again, or what of it is known; empty where the error tells nothing."""
    payload, meta = _payload(error.get("original_payload")), error.get("meta")
    if payload:
        return _from_payload(payload, template)
    named = meta.get("id") if isinstance(meta, dict) else None
    return _from_id(named, template) if isinstance(named, str) and named else {}


def _payload(held: object) -> Mapping[str, object]:
    """The payload's form is not published: an object, that object as text, or either inside of `data`."""
    if isinstance(held, str):
        try:
            held = json.loads(held)
        except (ValueError, RecursionError):
            return {}
    if isinstance(held, dict) and isinstance(held.get("data"), dict) and "attributes" not in held:
        held = held["data"]
    return held if isinstance(held, dict) else {}


def _from_payload(payload: Mapping[str, object], template: Template) -> dict[str, object]:
    """The whole resource, or its attributes side by side with its id."""
    kind = template.record.get("type")
    if isinstance(payload.get("attributes"), dict):
        return {"type": kind, **payload}
    beside = {name: payload[name] for name in BESIDE if payload.get(name) is not None}
    inside = {name: value for name, value in payload.items() if name not in BESIDE}
    return {"type": kind, **beside, "attributes": inside}


def _from_id(named: str, template: Template) -> dict[str, object]:
    """Only the id is known: as such, and as the field of the user's that it was made of."""
    record: dict[str, object] = {"type": template.record.get("type"), "id": named}
    for known in template.fields:
        if known.name == "external_id":
            record["attributes"] = {"external_id": named.rpartition(":::")[2]}
        elif known.name == "unique_code":
            record["attributes"] = {"unique_code": named.partition("-")[2]}
    return record
