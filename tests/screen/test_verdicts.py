"""The check in columns: which rows fail a rule, and which rows share a key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone

import pytest

from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.model import Checks, FieldCheck, WritePlan
from spark_klaviyo.plan.shape import Leaf, Record
from spark_klaviyo.plan.types import Field
from spark_klaviyo.templates.model import FieldForm, RecordLimits, Template
from tests.encode.encoded import Made, by_arrow, by_rows
from tests.encode.plans import TEMPLATE, columns, flat, plan_of, profile_checks, profile_plan
from tests.encode.values import Value

LONGS = {"type": "array", "elementType": "long"}
PAIRS = {"type": "map", "keyType": "string", "valueType": LONGS}
BOX = {"type": "struct", "fields": [{"name": "x", "type": "double"}, {"name": "xs", "type": LONGS}]}
NOW = datetime.now(timezone.utc)


@dataclass(frozen=True)
class Case:
    """Checks on columns, rows, and the flag of each row."""

    fields: tuple[Field, ...]
    checks: Checks
    rows: list[tuple[tuple[Value, ...], int]]
    template: Template = TEMPLATE

    @property
    def plan(self) -> WritePlan:
        """Each column under its own name."""
        return flat(self.fields, checks=self.checks, template=self.template)


def wanted(name: str, form: str, fields: tuple[Field, ...], **rules: object) -> FieldCheck:
    """A look at one column."""
    kind = next(field.type for field in fields if field.name == name)
    return FieldCheck(name, (name,), FieldForm(form), leaf=Leaf((name,), kind), **rules)  # type: ignore[arg-type]


def one(kind: object, form: str, *rows: tuple[Value, int], **rules: object) -> Case:
    """A case of one column."""
    fields = columns(v=kind)
    checks = Checks(Validate.STRICT, (wanted("v", form, fields, **rules),))
    return Case(fields, checks, [((value,), flag) for value, flag in rows])


def limited(kind: object, *rows: tuple[Value, int], template: Template = TEMPLATE, **checks: object) -> Case:
    """A case of one column `v` inside properties that are the whole record."""
    checked = Checks(Validate.STRICT, **checks)  # type: ignore[arg-type]
    return Case(columns(v=kind), checked, [((value,), flag) for value, flag in rows], template)


def rows_of_at_most(size: int) -> Template:
    """A template whose records have at most so many bytes."""
    return replace(TEMPLATE, limits=replace(TEMPLATE.limits, max_row_bytes=size))


TWO_ITEMS = replace(TEMPLATE, record_limits=RecordLimits(max_items=2))
IDS = columns(email="string", phone="string", id="string")
IDENTIFIERS = tuple((field.name,) for field in IDS)
CASES = {
    "emails": one(
        "string", "email", ("a@b.co", 0), (" a@b.co", 1), ("a@b", 1), ("", 1), (None, 0), ("x" * 250 + "@b.co", 1)
    ),
    "phones": one("string", "phone", ("+12015550123", 0), ("2015550123", 1), (None, 0)),
    "phones of several countries": one(
        "string",
        "phone",
        ("+12015550123", 0),
        ("+4915112345678", 0),
        ("+33612345678", 0),
        ("+9", 1),
        ("+", 1),
        ("", 1),
        ("+x2015550123", 1),
        (None, 0),
    ),
    "phones none of which begins like one": one("string", "phone", ("x", 1), ("+0123456789", 1), ("", 1), (None, 0)),
    "phones that are numbers": one("long", "phone", (12015550123, 1), (None, 0)),
    "required": one("string", "text", ("x", 0), (None, 1), ("", 1), (" \t", 1), ("\u3000", 1), required=True),
    "identifying and plain": one("string", "text", ("x ", 0), ("~", 0), (None, 0), is_identifier=True),
    "identifying and empty": one("string", "text", ("x", 0), ("", 1), (None, 0), is_identifier=True),
    "identifying and foreign": one("string", "text", ("é", 0), ("\u3000x", 1), (None, 0), is_identifier=True),
    "identifying": one("string", "text", ("x", 0), (None, 0), (" ", 1), is_identifier=True),
    "choices": one("string", "text", ("a.b", 0), ("c", 0), ("axb", 1), (None, 0), ("c\n", 1), choices=("a.b", "c")),
    "choices of a list": one(
        {"type": "array", "elementType": "string"}, "texts", (["a"], 1), (None, 0), choices=("a",)
    ),
    "longest": one("string", "text", ("éé", 0), ("ééé", 1), (None, 0), max_length=2),
    "a pattern": one("string", "text", ("ab", 0), ("aB", 1), ("ab\n", 1), pattern="[a-z]+"),
    "times as text": one("string", "datetime", ("2024-02-28T10:00:00Z", 0), ("2024-02-28", 1), (None, 0)),
    "times in a window": one(
        "timestamp",
        "datetime",
        (NOW, 0),
        (datetime(1999, 12, 31, 23, 59, 59, tzinfo=timezone.utc), 1),
        (NOW + timedelta(days=9), 1),
        (None, 0),
        earliest="2000-01-01T00:00:00+00:00",
        latest_days=7,
    ),
    "naive times in a window": one(
        "timestamp_ntz",
        "datetime",
        (datetime(2000, 1, 1), 0),  # noqa: DTZ001
        (datetime(1999, 12, 31, 23, 59), 1),  # noqa: DTZ001
        earliest="2000-01-01T00:00:00+00:00",
    ),
    "dates in a window": one(
        "date",
        "datetime",
        (date(2000, 1, 1), 0),
        (date(1999, 12, 31), 1),
        (NOW.date() + timedelta(days=9), 1),
        earliest="2000-01-01T00:00:00+00:00",
        latest_days=7,
    ),
    "texts in a window": one(
        "string",
        "datetime",
        ("2024-02-28T10:00:00Z", 0),
        ("1999-02-28T10:00:00Z", 1),
        ("2999-02-28T10:00:00Z", 1),
        ("2024-02-28T10:00:00+02:00", 0),
        ("2000-01-01T10:00:00+02:00", 1),
        (None, 0),
        earliest="2000-01-01T00:00:00+00:00",
        latest_days=7,
    ),
    "no identifier": Case(
        IDS, Checks(Validate.STRICT, identifiers=IDENTIFIERS), [((None, None, None), 1), ((None, "x", None), 0)]
    ),
    "exactly one identifier": Case(
        IDS,
        Checks(Validate.STRICT, identifiers=IDENTIFIERS),
        [((None, None, None), 1), ((None, "x", None), 0), (("a", "x", None), 1)],
        replace(TEMPLATE, first_identifier_only=True),
    ),
    "items of an array": limited(LONGS, ([1, 2], 0), ([1, 2, 3], 1), (None, 0), template=TWO_ITEMS),
    "items of arrays in a map": limited(
        PAIRS, ({"a": [1], "b": [1, 2, 3]}, 1), ({"a": [1, 2]}, 0), (None, 0), template=TWO_ITEMS
    ),
    "items of an array in a struct": limited(
        BOX, ((0.0, [1, 2, 3]), 1), ((0.0, None), 0), (None, 0), template=TWO_ITEMS
    ),
    "long records": limited("string", ("x" * 90, 0), ("x" * 99, 1), (None, 0), template=rows_of_at_most(100)),
    "records longer than is looked at": limited(
        "string", ("x" * 9, 0), ("x" * 99, 1), template=rows_of_at_most(200), max_unchecked_bytes=50
    ),
    "every row": limited("string", ("x", 1), (None, 1), every_row=True),
    "nothing": Case(
        columns(v="string"),
        Checks(Validate.OFF, identifiers=IDENTIFIERS),
        [(("x",), 0), ((None,), 0)],
        rows_of_at_most(1),
    ),
    "infinities before all": Case(
        columns(s="string", x="double", box=BOX),
        Checks(Validate.STRICT, every_row=True),
        [
            (("s", 1.0, (1.0, None)), 1),
            (("s", float("-inf"), (float("inf"), None)), 2 + (1 << 8)),
            (("s", None, (float("inf"), None)), 2 + (2 << 8)),
        ],
    ),
    "infinities though nothing is checked": Case(
        columns(
            xs={"type": "array", "elementType": "float"}, m={"type": "map", "keyType": "string", "valueType": "double"}
        ),
        Checks(Validate.OFF),
        [
            (([1.0, None], {"a": 1.0}), 0),
            (([float("inf")], None), 2),
            (([], {"a": None, "b": float("-inf")}), 2 + (1 << 8)),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_arrow_columns_are_flagged(name: str) -> None:
    case = CASES[name]
    assert by_arrow(case.plan, [row for row, _ in case.rows]).verdicts == [flag for _, flag in case.rows]


@pytest.mark.parametrize("name", CASES)
def test_rows_are_flagged(name: str) -> None:
    case = CASES[name]
    assert by_rows(case.plan, [row for row, _ in case.rows]).verdicts == [flag for _, flag in case.rows]


@pytest.mark.parametrize("name", sorted(set(CASES) - {"naive times in a window"}))
def test_rows_without_a_schema_are_flagged(name: str) -> None:
    case = CASES[name]
    made = by_rows(case.plan, [row for row, _ in case.rows], typed=False)
    assert made.verdicts == [flag for _, flag in case.rows]


# --- properties -----------------------------------------------------------------------------------


def properties_plan(*, spread: bool, **limits: object) -> WritePlan:
    """Properties of two columns, a map among them or joining them."""
    fields = columns(a="string", m=PAIRS)
    a, m = (Leaf((field.name,), field.type) for field in fields)
    inner = Record((("a", a),), spread=(m,)) if spread else Record((("a", a), ("m", m)))
    template = replace(TEMPLATE, properties_path=("p",), record_limits=RecordLimits(**limits))  # type: ignore[arg-type]
    return plan_of(fields, Record((("p", inner),)), Checks(Validate.STRICT), template=template)


ROWS: list[tuple[Value, ...]] = [
    ("x", {"k": [1], "l": []}),
    ("x", {"k": [1]}),
    (None, {"k": None, "l": [1]}),
    (None, None),
]


@pytest.mark.parametrize("spread", [False, True])
def test_properties_are_counted_with_the_entries_that_join_them(spread: bool) -> None:
    plan = properties_plan(spread=spread, max_properties=2)
    flags = [int(spread), 0, 0, 0]
    assert by_arrow(plan, ROWS).verdicts == flags
    assert by_rows(plan, ROWS).verdicts == flags


def test_properties_nested_too_deep_are_looked_at() -> None:
    for limit, flags in ((3, [0, 0, 0, 0]), (2, [1, 1, 1, 0])):
        plan = properties_plan(spread=False, max_depth=limit)
        assert by_arrow(plan, ROWS).verdicts == flags
        assert by_rows(plan, ROWS).verdicts == flags


# --- keys -----------------------------------------------------------------------------------------

PEOPLE = columns(email="string", phone_number="string", external_id="long")
TWINS: list[tuple[Value, ...]] = [
    ("ann@b.co", None, 1),
    (" Ann@B.co ", "+12015550123", 2),
    ("", " +12015550123", 3),
    (None, "+12015550123", None),
    (None, None, 1),
    (None, " ", 1),
    (None, None, None),
    ("ÉA@b.co", None, None),
    ("éa@b.co", None, None),
]
SAME = [0, 0, 2, 2, 4, 4, None, 7, 7]


def test_rows_with_the_same_identifier_share_a_key() -> None:
    plan = profile_plan(PEOPLE)
    by_any: list[Made] = [by_arrow(plan, TWINS), by_rows(plan, TWINS)]
    assert [made.same for made in by_any] == [SAME] * 2
    assert by_rows(plan, TWINS, typed=False).same == SAME


def test_what_else_identifies_a_row_parts_its_key() -> None:
    plan = profile_plan(columns(email="string", first_name="string"))
    plan = replace(plan, checks=replace(plan.checks, key_with=(("attributes", "first_name"),)))
    rows = [("a@b.co", "A"), ("A@b.co", "A "), ("a@b.co", "B"), ("a@b.co", None), (None, "A")]
    for made in (by_arrow(plan, rows), by_rows(plan, rows)):
        assert made.same == [0, 0, 2, 3, None]


def test_without_checks_no_row_has_a_key() -> None:
    plan = flat(PEOPLE)
    for made in (by_arrow(plan, TWINS), by_rows(plan, TWINS)):
        assert made.keys == [None] * len(TWINS)


def test_ready_made_records_are_all_looked_at() -> None:
    fields = columns(n="long", record="string")
    plan = plan_of(fields, None, Checks(Validate.STRICT, every_row=True), record_column="record")
    rows = [(1, '{"a":1}'), (2, None), (3, "no json")]
    for made in (by_arrow(plan, rows), by_rows(plan, rows)):
        assert made.records == ['{"a":1},', ",", "no json,"]
        assert made.verdicts == [1, 1, 1]


def test_a_profile_s_checks_look_at_what_identifies_it() -> None:
    checks = profile_checks({field.name: field.type for field in PEOPLE}, Validate.STRICT)
    assert [want.name for want in checks.fields] == ["email", "phone_number", "external_id"]
