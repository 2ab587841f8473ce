"""Every node of a record becomes the JSON it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from spark_klaviyo.arrow.encoded import record_texts
from spark_klaviyo.core.exact_json import ONE_ITEM
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.plan.model import RequestParam, WritePlan
from spark_klaviyo.plan.shape import Clean, Each, Fixed, Leaf, Node, Record, When
from spark_klaviyo.plan.types import Field, Type
from tests.encode.encoded import by_arrow, by_rows
from tests.encode.plans import columns, plan_of
from tests.encode.values import Value

TEXT, TIME = True, Clean.TIME  # `as_text`, `clean`
TEXTS = {"type": "array", "elementType": "string"}
PAIRS = {"type": "map", "keyType": "string", "valueType": "long"}
PLACE = {"type": "struct", "fields": [{"name": "city", "type": "string"}, {"name": "zip", "type": "integer"}]}
COLUMNS = columns(
    a="string", b="string", n="long", d="date", t="timestamp_ntz", ids=TEXTS, m=PAIRS, m2=PAIRS, loc=PLACE, w="string"
)
COLUMNS += (Field("dec", Type("decimal", precision=20, scale=0)), Field("when", Type("timestamp")))
NOON = datetime(2026, 3, 8, 2, 30)  # noqa: DTZ001  (skipped by the session's zone)
FULL: dict[str, Value] = {
    "a": 'A"', "b": "B", "n": 7, "d": date(2026, 1, 2), "t": NOON, "ids": ["x", None, 'y"'], "m": {"k": 1, "z": None},
    "m2": {"k": 2, "q": 3}, "loc": ("Boston", 2110), "w": "sms, email", "dec": Decimal(10**19),
    "when": datetime(2026, 3, 8, 5, 0, 0, 5, tzinfo=timezone.utc),
}  # fmt: skip


def leaf(
    name: str, as_text: bool = False, prefix: str = "", *, keep_null: bool = False, clean: Clean = Clean.NOTHING
) -> Leaf:
    """A leaf of one of the columns above, or of a field of its struct."""
    source = tuple(name.split("."))
    kind = next(field.type for field in COLUMNS if field.name == source[0])
    for part in source[1:]:
        kind = next(field.type for field in kind.fields if field.name == part)
    return Leaf(source, kind, as_text, prefix, keep_null, clean=clean)


def record(**fields: Node) -> Record:
    """A record of these fields."""
    return Record(tuple(fields.items()))


def omitted(**fields: Node) -> Record:
    """A record that is left out when it is empty."""
    return Record(tuple(fields.items()), omit_empty=True)


@dataclass(frozen=True)
class Case:
    """A record's shape, and what the full row and the row of nulls become."""

    shape: Record
    full: object
    empty: object


CASES = {
    "a leaf": Case(record(x=leaf("a")), {"x": 'A"'}, {}),
    "a constant": Case(
        record(x=Fixed("c"), y=Fixed(1), z=Fixed({"k": [1]})),
        *[{"x": "c", "y": 1, "z": {"k": [1]}}] * 2,
    ),
    "a constant null": Case(
        record(x=Fixed(None), y=leaf("a")),
        {"x": None, "y": 'A"'},
        {"x": None},
    ),
    "a mixed list": Case(
        record(x=Fixed([1, "a", None]), y=leaf("a")), {"x": [1, "a", None], "y": 'A"'}, {"x": [1, "a", None]}
    ),
    "constants around": Case(
        record(type=Fixed("t"), attributes=record(x=leaf("a"), y=Fixed(True)), last=Fixed(1)),
        {"type": "t", "attributes": {"x": 'A"', "y": True}, "last": 1},
        {"type": "t", "attributes": {"y": True}, "last": 1},
    ),
    "null kept": Case(record(x=leaf("a", keep_null=True), y=leaf("b")), {"x": 'A"', "y": "B"}, {"x": None}),
    "whole numbers as text": Case(record(x=leaf("n", TEXT), y=leaf("dec", TEXT)), {"x": "7", "y": "1" + "0" * 19}, {}),
    "a prefix": Case(record(x=leaf("a", TEXT, 'p"::'), y=leaf("n", TEXT, "n:")), {"x": 'p"::A"', "y": "n:7"}, {}),
    "times": Case(
        record(x=leaf("d", clean=TIME), y=leaf("t", clean=TIME), z=leaf("when", clean=TIME), a=leaf("a", clean=TIME)),
        {
            "x": "2026-01-02T00:00:00.000000Z",
            "y": "2026-03-08T02:30:00.000000Z",
            "z": "2026-03-08T05:00:00.000005Z",
            "a": 'A"',
        },
        {},
    ),
    "a field of a struct": Case(record(x=leaf("loc.city"), y=leaf("loc.zip", TEXT)), {"x": "Boston", "y": "2110"}, {}),
    "a whole struct": Case(record(x=leaf("loc")), {"x": {"city": "Boston", "zip": 2110}}, {}),
    "an empty record kept": Case(record(x=record(y=leaf("a"))), {"x": {"y": 'A"'}}, {"x": {}}),
    "an empty record left out": Case(
        record(x=omitted(y=leaf("a"), z=omitted(w=leaf("b"))), q=Fixed(1)),
        {"x": {"y": 'A"', "z": {"w": "B"}}, "q": 1},
        {"q": 1},
    ),
    "a constant is never empty": Case(
        record(x=omitted(y=Fixed(1), z=leaf("a"))), {"x": {"y": 1, "z": 'A"'}}, {"x": {"y": 1}}
    ),
    "no field at all": Case(record(), {}, {}),
    "identifiers": Case(
        record(x=Each(leaf("ids", TEXT, "p:"), "tag")),
        {"x": [{"type": "tag", "id": "p:x"}, {"type": "tag", "id": 'p:y"'}]},
        {},
    ),
    "one identifier": Case(record(x=Each(leaf("a"), "tag")), {"x": [{"type": "tag", "id": 'A"'}]}, {}),
    "a word holds": Case(
        record(x=When(leaf("w"), "email", Fixed("yes")), y=When(leaf("w"), "mail", Fixed("no"))), {"x": "yes"}, {}
    ),
    "a word of an array holds": Case(
        record(x=When(leaf("ids"), "x", record(y=leaf("a"))), z=When(leaf("ids"), "z", Fixed(1))),
        {"x": {"y": 'A"'}},
        {},
    ),
    "only words": Case(record(c=omitted(x=When(leaf("w"), "sms", leaf("n")))), {"c": {"x": 7}}, {}),
    "a list of one": Case(record(x=Record(((ONE_ITEM, record(y=leaf("a"))),))), {"x": [{"y": 'A"'}]}, {"x": [{}]}),
    "a list of nothing": Case(record(x=Record(((ONE_ITEM, leaf("a")),)), y=Fixed(1)), {"x": ['A"'], "y": 1}, {"y": 1}),
    "a list of an empty record": Case(
        record(x=Record(((ONE_ITEM, omitted(y=leaf("a"))),), omit_empty=True)), {"x": [{"y": 'A"'}]}, {}
    ),
    "entries of a map": Case(
        record(p=Record((("a", leaf("a")),), spread=(leaf("m"),))), {"p": {"a": 'A"', "k": 1}}, {"p": {}}
    ),
    "a field wins over an entry": Case(
        record(p=Record((("k", leaf("a")), ("q", leaf("b"))), omit_empty=True, spread=(leaf("m2"),))),
        {"p": {"k": 'A"', "q": "B"}},
        {},
    ),
    "the first map wins": Case(
        record(p=Record((), omit_empty=True, spread=(leaf("m"), leaf("m2")))), {"p": {"k": 1, "q": 3}}, {}
    ),
    "null entries kept": Case(
        record(p=Record((), spread=(leaf("m", keep_null=True), leaf("m2")))),
        {"p": {"k": 1, "z": None, "q": 3}},
        {"p": {}},
    ),
}
EMPTY = [None] * len(COLUMNS)
ROWS = [[FULL[field.name] for field in COLUMNS], EMPTY]


def plan_for(name: str) -> WritePlan:
    """The plan of a case."""
    return plan_of(COLUMNS, CASES[name].shape)


@pytest.mark.parametrize("name", CASES)
def test_a_node_from_arrow_columns(name: str) -> None:
    case = CASES[name]
    assert by_arrow(plan_for(name), ROWS).meanings == [case.full, case.empty]


@pytest.mark.parametrize("name", CASES)
def test_a_node_from_rows(name: str) -> None:
    case = CASES[name]
    assert by_rows(plan_for(name), ROWS).meanings == [case.full, case.empty]


@pytest.mark.parametrize("name", sorted(set(CASES) - {"times"}))
def test_a_node_from_rows_without_a_schema(name: str) -> None:
    case, plan = CASES[name], plan_for(name)
    assert by_rows(plan, ROWS, typed=False).meanings == [case.full, case.empty]


def test_rows_may_be_dicts_and_rows_in_another_order() -> None:
    plan = plan_of(columns(a="string", b="long"), record(x=leaf("a"), y=Leaf(("b",), Type("long"))))
    from pyspark.sql import Row

    for row in (("A", 1), {"b": 1, "a": "A"}, Row(b=1, a="A"), Row("a", "b")("A", 1)):
        (batch,) = encode_batches(arrow_batches([row], plan.columns), plan)
        assert record_texts(batch) == ['{"x":"A","y":1}']


def test_request_parameters_are_texts_beside_the_record() -> None:
    params = [
        RequestParam(field.name, Leaf((field.name,), field.type))
        for field in COLUMNS
        if field.name not in ("ids", "m", "m2")
    ]
    plan = plan_of(COLUMNS, record(x=leaf("a")), params=[*params, RequestParam("lo.c`", leaf("loc.city"))])
    made = by_arrow(plan, ROWS)
    expected = {
        "a": 'A"', "b": "B", "n": "7", "d": "2026-01-02", "t": "2026-03-08T02:30:00.000000",
        "loc": '{"city":"Boston","zip":2110}', "w": "sms, email", "dec": "1" + "0" * 19,
        "when": "2026-03-08T05:00:00.000005Z", "lo.c`": "Boston",
    }  # fmt: skip
    assert made.values == [expected, {}]
    assert by_rows(plan, ROWS).values == made.values
