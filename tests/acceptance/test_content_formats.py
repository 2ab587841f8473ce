"""Content formats of manual mode over real HTTP: batches, single rows, and rejected rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl
from xml.etree import ElementTree

import pytest

from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.options.model import BY_NAME
from spark_klaviyo.plan.manual.formats import FORMATS
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from tests.acceptance.sending import KEY, ROWS_AS, SINK, Row, send

pytestmark = pytest.mark.oldest

ROWS: list[Row] = [
    {"email": "ann@example.com", "note": 'a "b", <c> & d=é\n', "n": 9007199254740993},
    {"email": "bob@example.com", "note": None, "n": 2},
]
FILLED: list[Row] = [{name: value for name, value in row.items() if value is not None} for row in ROWS]
Read = Callable[[str], list[dict[str, object]]]


def read_csv(body: str) -> list[dict[str, object]]:
    return [dict(row) for row in csv.DictReader(io.StringIO(body, newline=""))]


def read_xml(body: str) -> list[dict[str, object]]:
    tree = ElementTree.fromstring(body.encode())  # noqa: S314  (made by us)
    return [{field.tag: field.text for field in row} for row in tree.iter("row")]


def texts(rows: list[Row], *, blank: bool) -> list[dict[str, object]]:
    """The rows as formats without types know them."""
    made = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    return [{name: text for name, text in row.items() if blank or text} for row in made]


BATCHED: dict[str, tuple[Read, list[dict[str, object]]]] = {
    "json": (json.loads, [dict(row) for row in FILLED]),
    "ndjson": (lambda body: [json.loads(line) for line in body.splitlines()], [dict(row) for row in FILLED]),
    "form-data-param": (lambda body: json.loads(parse_qs(body)["data"][0]), [dict(row) for row in FILLED]),
    "xml": (read_xml, texts(ROWS, blank=False)),
    "csv": (read_csv, texts(ROWS, blank=True)),
    "text": (lambda body: [json.loads(line) for line in body.splitlines()], [dict(row) for row in FILLED]),
}
ALONE: dict[str, Read] = {
    "json": lambda body: [json.loads(body)],
    "form": lambda body: [dict(parse_qsl(body, strict_parsing=True))],
    "form-data-param": lambda body: [json.loads(parse_qs(body)["data"][0])],
}


def test_every_content_format_that_the_option_takes_is_written() -> None:
    assert {*BATCHED, *ALONE} == {str(content_format) for content_format in FORMATS}
    for name in FORMATS:
        assert BY_NAME["content_format"].reader(str(name).upper()) is name


@pytest.mark.parametrize("rows_as", ROWS_AS)
@pytest.mark.parametrize("content_format", BATCHED)
def test_a_batch_arrives_in_the_format_asked_for(klaviyo: KlaviyoSimulator, content_format: str, rows_as: str) -> None:
    read, expected = BATCHED[content_format]
    sent = send(klaviyo, ROWS, rows_as=rows_as, url=SINK, content_format=content_format)
    assert read(sent.only.body.decode()) == expected
    assert sent.only.headers["Content-Type"] == FORMATS[ContentFormat(content_format)].media_type
    assert sent.report.delivered == 2
    assert sent.receipts[0].bytes == len(sent.only.body)


@pytest.mark.parametrize("content_format", [*BATCHED, "form"])
def test_without_batch_mode_every_format_carries_one_row_a_request(
    klaviyo: KlaviyoSimulator, content_format: str
) -> None:
    read = ALONE.get(content_format) or BATCHED[content_format][0]
    sent = send(klaviyo, ROWS, url=SINK, content_format=content_format, batch_mode=False, workers=1)
    expected = texts(FILLED, blank=False) if content_format == "form" else BATCHED[content_format][1]
    assert [row for body in sent.bodies for row in read(body)] == expected
    assert len(sent.requests) == 2


def test_a_form_carries_one_row_a_request_since_pairs_of_several_rows_would_mix(
    klaviyo: KlaviyoSimulator,
) -> None:
    sent = send(klaviyo, ROWS, url=SINK, content_format="form", workers=1)
    assert [dict(parse_qsl(body)) for body in sent.bodies] == texts(ROWS, blank=False)


def test_a_form_takes_the_key_before_the_row(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, ROWS[1:], url=SINK, content_format="form", key_in="body")
    assert dict(parse_qsl(sent.only.body.decode())) == {"api_key": KEY, "email": "bob@example.com", "n": "2"}


@pytest.mark.parametrize(
    ("content_format", "body", "expected"),
    [
        ("form", "k={api_key}&to={email}&{row}", f"k={KEY}&to=bob%40example.com&email=bob%40example.com&n=2"),
        (
            "xml",
            "<all key='{api_key}'>{rows}</all>",
            f"<all key='{KEY}'><row><email>bob@example.com</email><n>2</n></row></all>",
        ),
        ("csv", "# {email}\r\n{rows}", "# bob@example.com\r\nemail,note,n\r\nbob@example.com,,2"),
        ("text", "{email}: {row}", 'bob@example.com: {"email":"bob@example.com","n":2}'),
        (
            "ndjson",
            '{"index":{"to":"{email}"}}\n{rows}\n',
            '{"index":{"to":"bob@example.com"}}\n{"email":"bob@example.com","n":2}\n',
        ),
        (
            "form-data-param",
            "data={row}&from={email}",
            "data=%7B%22email%22%3A%22bob%40example.com%22%2C%22n%22%3A2%7D&from=bob%40example.com",
        ),
    ],
)
def test_a_body_template_is_in_the_content_format(
    klaviyo: KlaviyoSimulator, content_format: str, body: str, expected: str
) -> None:
    sent = send(klaviyo, ROWS[1:], url=SINK, content_format=content_format, body=body)
    assert sent.only.body.decode() == expected


@pytest.mark.parametrize("content_format", ["csv", "xml", "text", "form-data-param"])
def test_no_request_passes_max_bytes_in_any_format(klaviyo: KlaviyoSimulator, content_format: str) -> None:
    rows: list[Row] = [{"a": "é, <&" * (n % 9), "b": n} for n in range(60)]
    sent = send(klaviyo, rows, url=SINK, content_format=content_format, max_bytes=700, workers=1)
    assert max(len(body.encode()) for body in sent.bodies) <= 700
    assert sum(len(BATCHED[content_format][0](body)) for body in sent.bodies) == 60
    assert len(sent.requests) < 60


@pytest.mark.parametrize("content_format", [*BATCHED, "form"])
def test_a_rejected_row_is_kept_as_json_and_can_be_corrected_and_sent_in_any_format(
    klaviyo: KlaviyoSimulator, content_format: str
) -> None:
    klaviyo.inject(Fault("status", status=400, body="no"))
    sent = send(klaviyo, ROWS[1:], url="/api/profile-import", content_format=content_format)
    [kept] = sent.rejected
    assert json.loads(kept.record) == FILLED[1]
    assert kept.email == "bob@example.com"
    if content_format == "csv":  # its header needs columns
        return
    corrected = send(
        klaviyo, [{"record": kept.record}], url=SINK, content_format=content_format, record_column="record"
    )
    first = send(klaviyo, ROWS[1:], url=SINK, content_format=content_format)
    assert corrected.only.body == first.only.body


def test_a_bad_row_is_rejected_as_json_before_it_is_written_in_the_format(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [{"x": 1.5}, {"x": float("inf")}], url=SINK, content_format="csv")
    assert sent.only.body == b"x\r\n1.5\r\n"
    assert sent.report.reasons == {"not_finite": 1}
