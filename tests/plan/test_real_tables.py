"""Columns of real exports and warehouse tables: each is placed as what it means, or asked about; no secret leaves."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.names import Sure, bare
from spark_klaviyo.plan.types import Field, Type
from tests.plan.test_names import plan_with

SOURCES: dict[str, dict[str, Any]] = {
    one["name"]: one
    for one in json.loads(Path(__file__).with_name("columns.json").read_text(encoding="utf-8"))["sources"]
}
FAMILIES = {"profiles": "person", "consent": "person", "orders": "event", "events": "event", "coupons": "coupon_code"}
NO_FIELD = {"property", "ignore", "consent", "custom_metadata"}
OF_EVENTS = {"time", "value", "value_currency", "unique_id", "metric"}
IDENTIFIERS = {"email", "phone_number", "external_id"}  # of the person of an event; other attributes need `fields`
TYPES = {"value": "double", "price": "double", "inventory_quantity": "integer", "inventory_policy": "integer"}
TYPES |= {"published": "boolean", "location.latitude": "double", "location.longitude": "double"}
# Columns that carry the name of a field and mean something else there, or a secret whose name says nothing of it.
OTHERWISE = {
    "confirmation",  # Magento: a token while an account waits for its confirmation
    "card.transaction_ids",
    "anonymous_id",  # of RudderStack's visitors; events take it
    "Categories",  # names of categories, where ids are asked for
    "Coupon",  # the code of a coupon
}


class Placed(Enum):
    """What became of a column, beside what it means."""

    RIGHTLY = "rightly"  # also: left to the user, with the entry of `fields` that would place it
    WRONGLY = "wrongly"
    NOT = "not at all"


@dataclass(frozen=True)
class Outcome:
    """A column of a source: what it means, what becomes of it, and the fields that its note names."""

    column: str
    means: str
    sure: str
    becomes: str
    offered: tuple[str, ...]

    @property
    def placed(self) -> Placed:
        is_field = self.becomes != "dropped" and not self.becomes.startswith("properties.")
        if self.means == "never":
            return Placed.RIGHTLY if self.becomes == "dropped" else Placed.WRONGLY
        if self.means in NO_FIELD:
            return Placed.WRONGLY if is_field else Placed.RIGHTLY
        if is_field:
            return Placed.RIGHTLY if self.becomes == self.means else Placed.WRONGLY
        return Placed.RIGHTLY if self.means in self.offered else Placed.NOT


@cache
def outcomes(name: str) -> tuple[Outcome, ...]:
    """What the planning of a write says of each column."""
    return tuple(one for family in families_of(name) for one in _outcomes(SOURCES[name]["columns"], family))


def families_of(name: str) -> tuple[str, ...]:
    """The families of templates that a source is for; catalogs are items and variants."""
    kind = SOURCES[name]["kind"]
    return ("item", "variant") if kind == "catalog" else (FAMILIES[kind],)


def _outcomes(given: list[list[str]], family: str) -> list[Outcome]:
    columns = columns_of(given, family)
    fields = [Field(header, Type(TYPES.get(means, "string"))) for header, (means, _) in columns.items()]
    plan = plan_with(family, fields)
    becomes, notes = dict(plan.mapped), {note.column: note for note in plan.notes}
    return [
        Outcome(
            header, of_family(means, family), sure, becomes.get(header, "dropped"), _offered(plan, notes.get(header))
        )
        for header, (means, sure) in columns.items()
    ]


def columns_of(given: list[list[str]], family: str) -> dict[str, tuple[str, str]]:
    """The columns of a source that a family of templates takes, each with what it means and how sure that is."""
    other = {"item": "variant.", "variant": "item."}.get(family, "no.")
    columns = {header: (_field(means), sure) for header, means, sure in given if not means.startswith(other)}
    alike = Counter(
        map(bare, columns)
    )  # some sources are lists of several tools, with the same column in two spellings
    return {
        h: c
        for h, c in columns.items()
        if alike[bare(h)] == 1 or h == min(columns, key=lambda o: (bare(o) != bare(h), o))
    }


def of_family(means: str, family: str) -> str:
    """What a column means in a table of this family."""
    return _of_person(means) if family == "event" else means


def _field(means: str) -> str:
    """The path of a field in its template."""
    head, _, rest = means.partition(".")
    return rest if head in ("event", "item", "variant", "coupon_code") else means


def _of_person(means: str) -> str:
    """What a column means in a table of events."""
    if means in IDENTIFIERS:
        return f"profile.{means}"
    is_own = means in OF_EVENTS or means == "never" or means.startswith("profile.")
    return means if is_own else "property"


def _offered(plan: WritePlan, note: Any) -> tuple[str, ...]:
    if note is None or note.sure in (Sure.IDLE, Sure.SECRET):
        return ()
    return tuple(known.name for known in plan.template.fields if f'"{known.name}":' in note.warning)


@pytest.mark.parametrize("name", SOURCES)
def test_no_column_is_placed_as_what_it_does_not_mean(name: str) -> None:
    wrong = [one for one in outcomes(name) if one.placed is Placed.WRONGLY and one.column not in OTHERWISE]
    assert wrong == []


def test_nearly_every_field_is_placed_or_offered() -> None:
    """Where a field is not certain, the note of its column names the entry of `fields` that places it."""
    counts = Counter((one.placed, one.sure) for name in SOURCES for one in outcomes(name))
    total = Counter({placed: sum(counts[placed, sure] for sure in ("certain", "likely", "trap")) for placed in Placed})
    assert counts[Placed.NOT, "certain"] == 0, counts
    assert total[Placed.NOT] <= 16, counts
    assert total[Placed.WRONGLY] <= 10, counts
    assert total[Placed.RIGHTLY] >= 0.97 * sum(total.values()), counts
