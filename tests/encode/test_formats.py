"""Content formats of manual mode: media types, separators, what stands around the rows, and the rows themselves."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import parse_qs, parse_qsl, unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.plan.manual.body import around
from spark_klaviyo.plan.manual.formats import FORMATS, JSON_FORMATS, written
from spark_klaviyo.plan.model import WritePlan
from tests.encode.plans import columns, flat

ROWS: list[dict[str, object]] = [
    {"email": "ann@example.com", "n": 9007199254740993, "tags": ["a", "b"], "city": {"name": "São & <Paulo>"}},
    {"email": 'quote " comma , \r\n line', "tags": []},
    {"n": 0},
]
FIELDS = columns(
    email="string", n="long", tags={"type": "array", "elementType": "string"}, city={"type": "struct", "fields": []}
)


def body(plan: WritePlan, rows: list[dict[str, object]], *, batched: bool = True) -> bytes:
    """The whole body as a request would carry it."""
    after = FORMATS[plan.content_format].separator
    records = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    types = {field.name: field.type.name for field in plan.columns}
    head, tail = around("{rows}" if batched else "{row}", plan.content_format, {}, types)
    texts = records if plan.content_format in JSON_FORMATS else written(records, plan.content_format, list(types))
    return head + after.join(texts) + tail


def parsed(text: bytes | str) -> ElementTree.Element:
    """An XML document of ours."""
    return ElementTree.fromstring(text)  # noqa: S314  (made by us)


@pytest.mark.parametrize(
    ("content_format", "expected"),
    [
        (ContentFormat.JSON, "application/json"),
        (ContentFormat.NDJSON, "application/x-ndjson"),
        (ContentFormat.FORM, "application/x-www-form-urlencoded"),
        (ContentFormat.FORM_DATA_PARAM, "application/x-www-form-urlencoded"),
        (ContentFormat.XML, "application/xml"),
        (ContentFormat.CSV, "text/csv; charset=utf-8"),
        (ContentFormat.TEXT, "text/plain; charset=utf-8"),
    ],
)
def test_each_content_format_has_its_media_type(content_format: ContentFormat, expected: str) -> None:
    assert FORMATS[content_format].media_type == expected


def test_json_rows_are_a_list() -> None:
    assert json.loads(body(flat(FIELDS, content_format=ContentFormat.JSON), ROWS)) == ROWS


def test_ndjson_rows_are_lines() -> None:
    lines = body(flat(FIELDS, content_format=ContentFormat.NDJSON), ROWS).decode().split("\n")
    assert [json.loads(line) for line in lines[:-1]] == ROWS
    assert lines[-1] == ""


def test_a_form_holds_pairs_and_nested_values_as_json() -> None:
    pairs = parse_qsl(
        body(flat(FIELDS, content_format=ContentFormat.FORM), ROWS[:1], batched=False).decode(), strict_parsing=True
    )
    assert pairs == [
        ("email", "ann@example.com"),
        ("n", "9007199254740993"),
        ("tags", '["a","b"]'),
        ("city", '{"name":"São & <Paulo>"}'),
    ]


def test_a_form_leaves_out_what_is_null() -> None:
    assert body(flat(FIELDS, content_format=ContentFormat.FORM), [{"email": None, "n": 1}], batched=False) == b"n=1"


def test_the_data_parameter_holds_one_row() -> None:
    text = body(flat(FIELDS, content_format=ContentFormat.FORM_DATA_PARAM), ROWS[:1], batched=False)
    assert json.loads(parse_qs(text.decode())["data"][0]) == ROWS[0]


def test_the_data_parameter_holds_a_list_of_rows() -> None:
    text = body(flat(FIELDS, content_format=ContentFormat.FORM_DATA_PARAM), ROWS)
    assert json.loads(parse_qs(text.decode())["data"][0]) == ROWS
    assert unquote(text.decode()).startswith("data=[{")


def test_xml_has_an_element_for_each_field_and_repeats_those_of_lists() -> None:
    tree = parsed(body(flat(FIELDS, content_format=ContentFormat.XML), ROWS))
    first, second, third = tree
    assert tree.tag == "rows"
    assert [(e.tag, e.text) for e in first] == [
        ("email", "ann@example.com"),
        ("n", "9007199254740993"),
        ("tags", "a"),
        ("tags", "b"),
        ("city", None),
    ]
    assert [(e.tag, e.text) for e in first.iterfind("city/*")] == [("name", "São & <Paulo>")]
    assert [(e.tag, e.text) for e in second] == [("email", 'quote " comma , \r\n line')]
    assert [(e.tag, e.text) for e in third] == [("n", "0")]


def test_a_single_xml_row_is_the_root() -> None:
    tree = parsed(body(flat(FIELDS, content_format=ContentFormat.XML), [{"n": 1, "email": None}], batched=False))
    assert (tree.tag, [e.tag for e in tree]) == ("row", ["n"])


@given(st.text(min_size=1), st.text())
def test_xml_stays_readable_whatever_names_and_texts_hold(name: str, value: str) -> None:
    text = value.encode("utf-8", "replace").decode()
    (made,) = written([json.dumps({name: [text, {name: text}]}).encode()], ContentFormat.XML, ())
    assert len(parsed(made)) == 2


def test_csv_has_a_header_and_quotes_what_needs_it() -> None:
    text = body(flat(FIELDS, content_format=ContentFormat.CSV), ROWS).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["email", "n", "tags", "city"]
    assert rows == [
        ["ann@example.com", "9007199254740993", '["a","b"]', '{"name":"São & <Paulo>"}'],
        ['quote " comma , \r\n line', "", "[]", ""],
        ["", "0", "", ""],
    ]


@given(st.lists(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")), min_size=1))
def test_any_text_survives_csv(texts: list[str]) -> None:
    plan = flat(columns(a="string", b="string"), content_format=ContentFormat.CSV)
    text = body(plan, [{"a": value, "b": "x"} for value in texts]).decode()
    assert [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:] == texts


def test_text_is_the_only_column_one_line_a_row() -> None:
    plan = flat(columns(line="string"), content_format=ContentFormat.TEXT)
    assert body(plan, [{"line": "a\nb"}, {}, {"line": "c"}]) == b"a b\n\nc"


def test_text_of_several_columns_is_json() -> None:
    plan = flat(columns(a="string", b="long"), content_format=ContentFormat.TEXT)
    assert body(plan, [{"a": "x", "b": 1}]) == b'{"a":"x","b":1}'


def test_fractions_keep_every_digit_in_every_format() -> None:
    record = '{"n":0.10000000000000000000000000000001}'
    for content_format in set(ContentFormat) - {ContentFormat.JSON, ContentFormat.NDJSON}:
        assert b"0.10000000000000000000000000000001" in written([record.encode()], content_format, ["n"])[0]


def test_a_ready_made_row_that_is_no_json_stays_as_it_is() -> None:
    assert written([b"a=1", b"[1]"], ContentFormat.FORM, ["a"]) == [b"a=1", b"[1]"]


@pytest.mark.parametrize(
    ("content_format", "expected"),
    [
        (ContentFormat.JSON, 'a\\"b&<,'),
        (ContentFormat.FORM, "a%22b%26%3C%2C"),
        (ContentFormat.XML, "a&quot;b&amp;&lt;,"),
        (ContentFormat.CSV, '"a""b&<,"'),
        (ContentFormat.TEXT, 'a"b&<,'),
    ],
)
def test_a_value_is_quoted_as_the_format_asks(content_format: ContentFormat, expected: str) -> None:
    assert FORMATS[content_format].quoted('a"b&<,') == expected


def test_line_breaks_and_quotes_survive_in_an_attribute_of_xml() -> None:
    value = "a\r\nb\tc\"d'e"
    quoted = FORMATS[ContentFormat.XML].quoted(value)
    for quote in "\"'":
        assert parsed(f"<row name={quote}{quoted}{quote}>{quoted}</row>").attrib["name"] == value
