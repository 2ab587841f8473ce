"""Bodies of manual mode over real HTTP: placeholders, batches, and what is refused before anything is sent."""

from __future__ import annotations

import json

import pytest

from spark_klaviyo import klaviyo_batch_writer, klaviyo_partition_writer
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.acceptance.sending import KEY, LIST, ROWS_AS, SINK, Options, columns_of, plan_for, send

pytestmark = pytest.mark.oldest

ANN = {"email": "ann@example.com", "name": "Ann"}
BOB = {"email": "bob@example.com", "name": None}


def test_batch_mode_fills_requests_up_to_max_rows(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"n": n} for n in range(7)]
    sent = send(klaviyo, rows, url=SINK, max_rows=3, workers=1)
    assert [request.json() for request in sent.requests] == [rows[:3], rows[3:6], rows[6:]]


def test_without_batch_mode_each_row_is_a_request(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [ANN, {"email": "b@c.de", "name": "B"}], url=SINK, batch_mode="false", workers=1)
    assert [request.json() for request in sent.requests] == [ANN, {"email": "b@c.de", "name": "B"}]


def test_no_request_is_larger_than_max_bytes_key_and_time_included(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"text": "é" * (n % 40)} for n in range(200)]
    body = '{"key":"{api_key}","at":"{now}","rows":{rows}}'
    sent = send(klaviyo, rows, url=SINK, body=body, max_bytes=500, max_rows=1_000, workers=1)
    sizes = [len(request.body) for request in sent.requests]
    assert max(sizes) <= 500
    assert [row for request in sent.requests for row in request.json()["rows"]] == rows
    for size, following in zip(sizes, sent.requests[1:], strict=False):  # each is as full as it can be
        assert size + 1 + len(json.dumps(following.json()["rows"][0], ensure_ascii=False).encode()) - 1 > 500


@pytest.mark.parametrize("rows_as", ROWS_AS)
def test_rows_with_the_same_value_of_a_column_in_the_body_share_a_request(
    klaviyo: KlaviyoSimulator, rows_as: str
) -> None:
    rows = [{"list": "a", "n": 1}, {"list": "b", "n": 2}, {"list": "a", "n": 3}]
    sent = send(klaviyo, rows, rows_as=rows_as, url=SINK, body='{"list":"{list}","rows":{rows}}')
    got = {request.json()["list"]: request.json()["rows"] for request in sent.requests}
    assert got == {"a": [rows[0], rows[2]], "b": [rows[1]]}


@pytest.mark.parametrize("rows_as", ROWS_AS)
def test_columns_in_the_body_are_text_inside_quotes_and_json_outside(klaviyo: KlaviyoSimulator, rows_as: str) -> None:
    row = {"name": 'A "b" \\ {n}\n', "n": 7, "ok": True, "place": {"city": "São"}, "none": None}
    body = '{"s":"<{name}>","v":{name},"n":{n},"t":"{n}","ok":{ok},"place":{place},"none":{none},"blank":"{none}"}'
    sent = send(klaviyo, [row], rows_as=rows_as, url=SINK, body=body)
    assert sent.only.json() == {
        "s": f"<{row['name']}>",
        "v": row["name"],
        "n": 7,
        "t": "7",
        "ok": True,
        "place": {"city": "São"},
        "none": None,
        "blank": "",
    }
    assert sent.report.delivered == 1


@pytest.mark.parametrize("text", ["{api_key}", "{other}", "{rows}", "\x00key\x00", "{now}"])
@pytest.mark.parametrize(
    ("content_format", "body"),
    [("json", '{"a":"{text}"}'), ("text", "a={text}"), ("form", "a={text}"), ("csv", "{text}")],
)
def test_a_value_with_the_form_of_a_placeholder_is_sent_as_it_is(
    klaviyo: KlaviyoSimulator, text: str, content_format: str, body: str
) -> None:
    row = {"text": text, "other": "not this"}
    sent = send(klaviyo, [row], url=SINK, content_format=content_format, body=body, key_in="query")
    assert KEY not in sent.only.body.decode()
    assert "not this" not in sent.only.body.decode()
    if content_format == "json":
        assert sent.only.json() == {"a": text}


def test_now_is_the_time_of_sending(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [ANN], url=SINK, body='{"at":"{now}","row":{row}}')
    assert sent.only.json()["row"] == ANN
    assert sent.only.json()["at"].endswith("Z")
    assert sent.only.json()["at"][:10] == sent.receipts[0].started_at[:10]


def test_a_body_that_names_columns_only_is_one_row_a_request(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [ANN, {"email": "b@c.de", "name": "B"}], url=SINK, body='{"to":"{email}"}', workers=1)
    assert [request.json() for request in sent.requests] == [{"to": "ann@example.com"}, {"to": "b@c.de"}]


def test_a_blank_body_is_no_body(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [ANN], url=f"{SINK}/{{email}}", body=" ")
    assert sent.only.body == b""
    assert sent.report.delivered == 1


def test_deleting_by_url_sends_no_body(klaviyo: KlaviyoSimulator) -> None:
    assert send(klaviyo, [ANN], url=f"{SINK}/{{email}}", method="DELETE").only.body == b""


def test_nulls_are_left_out_or_sent(klaviyo: KlaviyoSimulator) -> None:
    assert send(klaviyo, [BOB], url=SINK).only.json() == [{"email": "bob@example.com"}]
    assert send(klaviyo, [BOB], url=SINK, nulls="send").only.json() == [BOB]


def test_a_number_that_json_cannot_hold_rejects_its_row_alone(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [{"x": 1.5}, {"x": float("inf")}], url=SINK)
    assert sent.only.json() == [{"x": 1.5}]
    assert sent.report.reasons == {"not_finite": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"body": '{"a":{rows}'}, "body: is not JSON once its placeholders are filled"),
        ({"body": '{"a":{rows},"b":{rows}}'}, "body: holds {rows} or {row} more than once"),
        ({"body": '{"a":"{rows}"}'}, "body: {rows} stands inside quotes"),
        ({"body": '{"k":"{api_key}","a":{rows}}', "key_in": "header"}, "body: holds {api_key}, and key_in=header"),
        ({"body": '{"a":{rows}}', "key_in": "body"}, "key_in: body needs {api_key} in the option body"),
        ({"content_format": "ndjson", "key_in": "body"}, "key_in: body needs {api_key} in the option body"),
        ({"url": "https://a.klaviyo.com/x/{api_key}"}, "url: {api_key} has its place in body"),
        ({"content_format": "csv", "record_column": "email"}, "record_column: csv needs columns"),
        ({"template": "bulk_import_profiles"}, "template: is given besides url"),
        ({"list_id": LIST}, "list_id: belongs to templates"),
        ({"fields": '{"email":"mail"}'}, "fields: belongs to templates"),
        ({"url": "a.klaviyo.com/api"}, "url: must be a complete URL"),
        ({"url": "https://a.klaviyo.com/api/{sku"}, "url: holds a brace that belongs to no {column}"),
        ({"url": "https://a.klaviyo.com/api/x?of={email"}, "url: holds a brace that belongs to no {column}"),
        (
            {"api_key": "no&key", "content_format": "form", "body": "k={api_key}&{row}"},
            "api_key: has characters that end a value in form; send it with key_in=header",
        ),
        (
            {"api_key": None, "access_token": "token-of-oauth", "key_in": "query"},
            "access_token: is sent in the header only, which key_in=query contradicts",
        ),
        (
            {"url": "https://a.klaviyo.com/api/track", "content_format": "form-data-param", "token": True},
            "column 'token': the key stands there",
        ),
        ({"url": "http://a.klaviyo.com/api"}, "url: plain http would show the key to the network"),
        ({"headers": {"Authorization": "x"}}, "headers: authorization is set besides key_in=header"),
        ({"headers": {"Content-Length": "3"}}, "headers: must be free of Content-Length"),
    ],
)
def test_contradictory_manual_options_are_refused_before_anything_is_sent(options: Options, message: str) -> None:
    given = {"url": "https://a.klaviyo.com/api/x", "api_key": KEY, **options}
    row = {**ANN, "token": "x"} if given.pop("token", None) else ANN
    with pytest.raises((OptionError, SchemaError)) as caught:
        plan_for(columns_of([row]), **given)
    assert message in str(caught.value)
    assert KEY not in str(caught.value)


def test_every_way_to_write_refuses_it_before_there_are_rows() -> None:
    for writer in (klaviyo_batch_writer, klaviyo_partition_writer):
        with pytest.raises(OptionError, match="body: is not JSON"):
            writer(url="https://a.klaviyo.com/api/x", api_key=KEY, body='{"a":{rows}')


def test_the_body_may_be_given_as_a_dict_with_rows_inside(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [ANN], url=SINK, body={"profiles": "{rows}", "of": "{email}"})
    assert json.loads(sent.requests[0].body) == {"profiles": [ANN], "of": ANN["email"]}
