"""Manual mode over real HTTP: URLs, methods, headers, where the key travels, bodies, batches, old and new APIs."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any
from urllib.parse import parse_qs

import pytest

from spark_klaviyo import klaviyo_batch_writer, klaviyo_partition_writer
from spark_klaviyo.check.check import check_klaviyo
from spark_klaviyo.core.choices import Api
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from tests.acceptance.sending import DOORS, KEY, LIST, SINK, Options, Row, columns_of, plan_for, send

pytestmark = pytest.mark.oldest

ANN = {"email": "ann@example.com", "name": "Ann"}
BOB = {"email": "bob@example.com", "name": None}
MEMBERS = f"/api/v2/list/{LIST}/members"


# --- methods and URLs -----------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_any_method_sends_the_rows_as_they_are(klaviyo: KlaviyoSimulator, method: str, door: str) -> None:
    sent = send(klaviyo, [ANN, BOB], door=door, url=SINK, method=method)
    assert (sent.only.method, sent.only.json()) == (method, [ANN, {"email": "bob@example.com"}])
    assert sent.report.delivered == 2


@pytest.mark.parametrize("door", DOORS)
def test_get_carries_the_rows_in_its_url_and_no_body(klaviyo: KlaviyoSimulator, door: str) -> None:
    sent = send(klaviyo, [ANN, BOB], door=door, url=f"{SINK}/{{email}}?source=crm", method="GET")
    assert [request.body for request in sent.requests] == [b"", b""]
    assert {request.path for request in sent.requests} == {f"{SINK}/ann%40example.com", f"{SINK}/bob%40example.com"}
    assert sent.requests[0].query == {"source": "crm"}
    assert sent.report.delivered == 2


@pytest.mark.parametrize("door", DOORS)
def test_path_parameters_come_from_the_row_percent_encoded(klaviyo: KlaviyoSimulator, door: str) -> None:
    rows: list[Row] = [{"sku": "a/b?c#d é{sku}", "price": 3}, {"sku": "x", "price": 4}]
    sent = send(klaviyo, rows, door=door, url=f"{SINK}/items/{{sku}}/{{price}}", method="PATCH")
    paths = {request.path: request.json() for request in sent.requests}
    assert paths == {
        f"{SINK}/items/a%2Fb%3Fc%23d%20%C3%A9%7Bsku%7D/3": rows[0],
        f"{SINK}/items/x/4": rows[1],
    }


def test_query_parameters_come_from_the_row_percent_encoded(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"email": "a+b&c=d@example.com", "n": 1}]
    sent = send(klaviyo, rows, url=f'{SINK}?filter=equals(email,"{{email}}")&n={{n}}&fixed=a%20b', method="GET")
    assert sent.only.query == {"filter": 'equals(email,"a+b&c=d@example.com")', "n": "1", "fixed": "a b"}


@pytest.mark.parametrize("door", DOORS)
def test_a_row_without_the_value_that_its_url_needs_is_rejected_alone(klaviyo: KlaviyoSimulator, door: str) -> None:
    rows: list[Row] = [{"sku": "a"}, {"sku": None}, {"sku": " "}]
    sent = send(klaviyo, rows, door=door, url=f"{SINK}/{{sku}}", method="PUT")
    assert [request.path for request in sent.requests] == [f"{SINK}/a"]
    assert [refused.rejection.code for refused in sent.refused] == ["missing_field"] * 2


def test_a_value_that_would_change_the_path_is_rejected(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [{"sku": ".."}], url=f"{SINK}/{{sku}}/x", method="DELETE")
    assert sent.requests == []
    assert sent.report.reasons == {"refused": 1}


def test_a_placeholder_that_is_no_column_is_a_schema_error(klaviyo: KlaviyoSimulator) -> None:
    with pytest.raises(SchemaError, match="the DataFrame has no column 'skuu'"):
        send(klaviyo, [{"sku": "a"}], url=f"{SINK}/{{skuu}}")
    with pytest.raises(SchemaError, match="the DataFrame has no column 'skuu'"):
        send(klaviyo, [{"sku": "a"}], url=SINK, body='{"sku":"{skuu}"}')


def test_an_unknown_resource_rejects_its_row_and_not_the_write(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.add_profiles([{"email": "ann@example.com"}])
    known = next(iter(klaviyo.profiles))["id"]
    rows = [{"id": "01NOBODY", "type": "profile", "name": "x"}, {"id": known, "type": "profile", "name": "Ann"}]
    body = '{"data":{"type":"profile","id":"{id}","attributes":{"first_name":"{name}"}}}'
    sent = send(klaviyo, rows, url="/api/profiles/{id}", method="PATCH", body=body)
    assert (sent.report.delivered, sent.report.rejected) == (1, 1)
    assert klaviyo.profiles[0]["first_name"] == "Ann"


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"headers": '{"X-Source":"crm","X-Team":"a:b"}'},
        {"headers": {"X-Source": "crm", "X-Team": "a:b"}},
        {"headers": "X-Source:crm, X-Team:a:b"},
        {"header.X-Source": "crm", "header.X-Team": "a:b"},
        {"headers": "X-Source:crm", "header.X-Team": "a:b"},
    ],
)
def test_custom_headers_are_sent_however_they_are_written(klaviyo: KlaviyoSimulator, headers: Options) -> None:
    sent = send(klaviyo, [ANN], url=SINK, **headers)
    assert (sent.only.headers["X-Source"], sent.only.headers["X-Team"]) == ("crm", "a:b")


def test_a_custom_header_replaces_the_default_one_in_any_case(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [ANN], url=SINK, headers={"content-type": "application/x-special", "REVISION": "2026-07-15"})
    assert sent.only.headers["Content-Type"] == "application/x-special"
    assert sent.only.headers["revision"] == "2026-07-15"


# --- where the key travels ------------------------------------------------------------------------


def test_the_key_travels_in_the_header_by_default(klaviyo: KlaviyoSimulator) -> None:
    request = send(klaviyo, [ANN], url=SINK).only
    assert request.headers["Authorization"] == f"Klaviyo-API-Key {KEY}"
    assert KEY not in request.body.decode() + str(request.query)


def test_the_key_travels_as_api_key_in_the_query_where_asked(klaviyo: KlaviyoSimulator) -> None:
    request = send(klaviyo, [ANN], url=f"{SINK}?a=b", key_in="query").only
    assert request.query == {"a": "b", "api_key": KEY}
    assert "Authorization" not in request.headers


def test_the_key_travels_as_api_key_in_the_body_where_asked(klaviyo: KlaviyoSimulator) -> None:
    request = send(klaviyo, [ANN], url=SINK, key_in="body").only
    assert request.json() == {"api_key": KEY, "profiles": [ANN]}
    assert "Authorization" not in request.headers


def test_a_body_that_holds_the_key_needs_no_key_in(klaviyo: KlaviyoSimulator) -> None:
    request = send(klaviyo, [ANN], url=SINK, body='{"key":{api_key},"again":"{api_key}","rows":{rows}}').only
    assert request.json() == {"key": KEY, "again": KEY, "rows": [ANN]}
    assert "Authorization" not in request.headers


def test_no_key_is_sent_with_key_in_none(klaviyo: KlaviyoSimulator) -> None:
    request = send(klaviyo, [ANN], url=SINK, key_in="none", headers={"Authorization": "Token of-my-own"}).only
    assert request.headers["Authorization"] == "Token of-my-own"
    assert KEY not in request.body.decode() + str(request.query)


@pytest.mark.parametrize("written", [f"api_key={KEY}", "api_key={api_key}", f"a=1&api_key={KEY}", f"API_KEY={KEY}&a=1"])
def test_a_key_in_the_urls_query_becomes_a_credential_that_nothing_shows(
    klaviyo: KlaviyoSimulator, written: str
) -> None:
    own: Options = {"api_key": KEY} if "{" in written else {}
    sent = send(klaviyo, [ANN], url=f"{klaviyo.url}{SINK}?{written}", **own)
    assert sent.only.query["api_key"] == KEY
    assert "Authorization" not in sent.only.headers
    assert KEY.encode() not in sent.only.body
    assert sent.plan.credentials.api_key is not None
    assert KEY not in repr(sent.plan) + repr(sent.events) + repr(sent.report.to_dict()) + str(sent.report)
    assert pickle.loads(pickle.dumps(sent.plan)).credentials.api_key.reveal() == KEY


def test_a_key_in_the_url_beside_another_one_is_refused_and_neither_is_shown() -> None:
    with pytest.raises(OptionError, match="url: holds api_key in its query besides the option api_key") as caught:
        plan_for(columns_of([ANN]), url=f"https://a.klaviyo.com/x?api_key={KEY}", api_key="pk_another_one_entirely")
    assert KEY not in str(caught.value)
    assert "entirely" not in str(caught.value)
    with pytest.raises(OptionError, match="url: holds api_key in its query, and key_in says otherwise"):
        plan_for(columns_of([ANN]), url=f"https://a.klaviyo.com/x?api_key={KEY}", key_in="body")


def test_a_reference_in_the_urls_query_is_resolved(klaviyo: KlaviyoSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    assert send(klaviyo, [ANN], url=f"{klaviyo.url}{SINK}?api_key=env:MY_KEY").only.query == {"api_key": KEY}


@pytest.mark.parametrize("key_in", ["header", "query", "body", "none"])
def test_no_receipt_rejection_or_report_holds_the_key(klaviyo: KlaviyoSimulator, key_in: str) -> None:
    klaviyo.inject(Fault("status", status=400, detail=f"the key {KEY} is bad"))
    sent = send(klaviyo, [ANN, BOB], url="/api/nowhere", key_in=key_in)
    said = repr(sent.events) + json.dumps(sent.report.to_dict()) + str(sent.report)
    assert KEY not in said + repr(sent.plan)


# --- bodies and batches ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("door", DOORS)
def test_rows_with_the_same_value_of_a_column_in_the_body_share_a_request(klaviyo: KlaviyoSimulator, door: str) -> None:
    rows = [{"list": "a", "n": 1}, {"list": "b", "n": 2}, {"list": "a", "n": 3}]
    sent = send(klaviyo, rows, door=door, url=SINK, body='{"list":"{list}","rows":{rows}}')
    got = {request.json()["list"]: request.json()["rows"] for request in sent.requests}
    assert got == {"a": [rows[0], rows[2]], "b": [rows[1]]}


@pytest.mark.parametrize("door", DOORS)
def test_columns_in_the_body_are_text_inside_quotes_and_json_outside(klaviyo: KlaviyoSimulator, door: str) -> None:
    row = {"name": 'A "b" \\ {n}\n', "n": 7, "ok": True, "place": {"city": "São"}, "none": None}
    body = '{"s":"<{name}>","v":{name},"n":{n},"t":"{n}","ok":{ok},"place":{place},"none":{none},"blank":"{none}"}'
    sent = send(klaviyo, [row], door=door, url=SINK, body=body)
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


def test_now_is_the_moment_of_sending(klaviyo: KlaviyoSimulator) -> None:
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
    sent = send(klaviyo, [{"x": 1.5}, {"x": float("nan")}], url=SINK)
    assert sent.only.json() == [{"x": 1.5}]
    assert sent.report.reasons == {"not_finite": 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"body": '{"a":{rows}'}, "body: is no JSON once its placeholders are filled"),
        ({"body": '{"a":{rows},"b":{rows}}'}, "body: {rows} or {row} stands in it more than once"),
        ({"body": '{"a":"{rows}"}'}, "body: {rows} stands inside quotes"),
        ({"body": '{"k":"{api_key}","a":{rows}}', "key_in": "header"}, "body: holds {api_key}, and key_in=header"),
        ({"body": '{"a":{rows}}', "key_in": "body"}, "key_in: body needs a body that says where"),
        ({"content_format": "ndjson", "key_in": "body"}, "key_in: body needs a body that says where"),
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
            "access_token: travels as a Bearer header alone, and key_in=query says otherwise",
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
def test_contradictory_manual_options_are_refused_before_anything_is_sent(options: Options, said: str) -> None:
    given = {"url": "https://a.klaviyo.com/api/x", "api_key": KEY, **options}
    row = {**ANN, "token": "x"} if given.pop("token", None) else ANN
    with pytest.raises((OptionError, SchemaError)) as caught:
        plan_for(columns_of([row]), **given)
    assert said in str(caught.value)
    assert KEY not in str(caught.value)


def test_every_way_to_write_refuses_it_before_there_are_rows() -> None:
    for door in (klaviyo_batch_writer, klaviyo_partition_writer):
        with pytest.raises(OptionError, match="body: is no JSON"):
            door(url="https://a.klaviyo.com/api/x", api_key=KEY, body='{"a":{rows}')


def test_the_body_may_be_given_as_a_dict_with_rows_inside(klaviyo: KlaviyoSimulator) -> None:
    sent = send(klaviyo, [ANN], url=SINK, body={"profiles": "{rows}", "of": "{email}"})
    assert json.loads(sent.requests[0].body) == {"profiles": [ANN], "of": ANN["email"]}


# --- sending again --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_after_a_lost_reply_an_idempotent_method_is_sent_again(method: str) -> None:
    with KlaviyoSimulator(legacy="alive", faults=[Fault("reset_before", times=1)]) as klaviyo:
        sent = send(klaviyo, [{"id": "x"}], url="/api/v2/list/{id}?list_name=a", method=method)
    assert "in_doubt" not in sent.report.reasons


@pytest.mark.parametrize(
    ("resend", "expected"), [("auto", {"in_doubt": 2}), ("never", {"in_doubt": 2}), ("always", {})]
)
def test_after_a_lost_reply_the_rows_of_a_post_are_in_doubt(
    old_klaviyo: KlaviyoSimulator, resend: str, expected: dict[str, int]
) -> None:
    old_klaviyo.inject(Fault("reset_before", times=1))
    options: Options = {"url": MEMBERS, "key_in": "body", "resend": resend}
    sent = send(old_klaviyo, [ANN, {"email": "b@c.de"}], **options)
    assert sent.report.reasons == expected


# --- old and new APIs -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["body", "query", "header", "url"])
def test_a_v2_url_takes_the_key_in_body_query_header_or_url(old_klaviyo: KlaviyoSimulator, where: str) -> None:
    options: dict[str, Any] = (
        {"url": f"{MEMBERS}?api_key={KEY}", "body": '{"profiles":{rows}}'} if where == "url" else {"key_in": where}
    )
    if where in ("query", "header"):
        options["body"] = '{"profiles":{rows}}'
    sent = send(old_klaviyo, [ANN, BOB], **{"url": MEMBERS, **options})
    assert sent.report.delivered == 2
    assert sorted(profile["email"] for profile in old_klaviyo.lists[LIST].members) == [ANN["email"], BOB["email"]]
    assert sent.only.headers["Accept"] == sent.only.headers["Content-Type"] == "application/json"
    assert "revision" not in sent.only.headers


def test_a_v2_refusal_names_no_row_so_halving_finds_it(old_klaviyo: KlaviyoSimulator) -> None:
    rows = [{"email": f"p{n}@example.com"} for n in range(8)] + [{"email": "no address"}]
    sent = send(old_klaviyo, rows, url=MEMBERS, key_in="body")
    assert (sent.report.delivered, sent.report.rejected) == (8, 1)
    assert json.loads(sent.refused[0].rejection.record) == {"email": "no address"}
    assert sent.refused[0].identifiers["email"] == "no address"


def test_a_bad_key_stops_a_v2_write_after_one_request(old_klaviyo: KlaviyoSimulator) -> None:
    sent = send(old_klaviyo, [ANN, BOB], url=MEMBERS, key_in="body", api_key="pk_wrong", max_rows=1)
    assert len(sent.requests) == 1
    assert sent.report.stopped is not None
    assert sent.report.unsent == 2


def test_a_v1_url_takes_the_key_in_its_query(old_klaviyo: KlaviyoSimulator) -> None:
    old_klaviyo.add_profiles([{"email": "ann@example.com"}])
    person = old_klaviyo.profiles[0]["id"]
    row = {"id": person, "level": "gold & more"}
    sent = send(old_klaviyo, [row], url="/api/v1/person/{id}?level={level}", method="PUT", body=" ")
    assert sent.only.query == {"level": "gold & more", "api_key": KEY}
    assert old_klaviyo.profiles[0]["properties"] == {"level": "gold & more"}


def test_track_takes_its_token_beside_the_fields_of_the_row(old_klaviyo: KlaviyoSimulator) -> None:
    row = {"event": "Bought", "customer_properties": {"$email": "ann@example.com"}, "properties": {"$value": 9.5}}
    rows = [{**row, "time": 1_700_000_000}, {**row, "time": 1_700_000_001}]
    sent = send(old_klaviyo, rows, url="/api/track", content_format="form-data-param", workers=1)
    assert [json.loads(parse_qs(body)["data"][0]) for body in sent.bodies] == [{"token": KEY, **row} for row in rows]
    assert {request.headers["Content-Type"] for request in sent.requests} == {"application/x-www-form-urlencoded"}
    assert [event["value"] for event in old_klaviyo.events] == [9.5, 9.5]
    assert sent.report.accepted == 2  # its answer 1 says nothing of the key


def test_track_takes_a_body_template_in_its_data_parameter(old_klaviyo: KlaviyoSimulator) -> None:
    row = {"email": "ann@example.com", "amount": 3}
    body = '{"token":"{api_key}","event":"Bought & kept","customer_properties":{"$email":"{email}"},"properties":{row}}'
    for text in (body, f"data={body}"):
        sent = send(old_klaviyo, [row], url="/api/track", content_format="form-data-param", body=text)
        payload = json.loads(parse_qs(sent.bodies[0])["data"][0])
        assert payload == {
            "token": KEY,
            "event": "Bought & kept",
            "customer_properties": {"$email": "ann@example.com"},
            "properties": row,
        }
        assert sent.report.accepted == 1


def test_track_by_get_takes_base64_from_a_column(old_klaviyo: KlaviyoSimulator) -> None:
    payload = {"token": "pk", "event": "Seen", "customer_properties": {"$email": "ann@example.com"}}
    row = {"data": base64.b64encode(json.dumps(payload).encode()).decode()}
    sent = send(old_klaviyo, [row], url="/api/track?data={data}", method="GET")
    assert sent.report.accepted == 1
    assert [event["metric"] for event in old_klaviyo.events] == ["Seen"]


def test_the_v1_reply_zero_is_a_refusal_although_its_status_is_200(old_klaviyo: KlaviyoSimulator) -> None:
    rows: list[dict[str, object]] = [
        {"properties": {"$email": "ann@example.com", "name": "Ann"}},
        {"properties": {"$email": None, "name": "Nobody"}},
    ]
    sent = send(old_klaviyo, rows, url="/api/identify", content_format="form-data-param", workers=1)
    assert (sent.report.accepted, sent.report.rejected) == (1, 1)
    [refused] = sent.refused
    assert (refused.rejection.code, refused.rejection.status) == ("refused", 200)
    assert "the answer was 0" in refused.rejection.detail


@pytest.mark.parametrize(
    ("url", "api"), [(MEMBERS, "v2"), ("/api/v1/person/X", "v1"), ("/api/track", "v1"), ("/api/identify", "v1")]
)
def test_a_retired_url_stops_at_once_and_names_the_one_option_to_change(
    klaviyo: KlaviyoSimulator, url: str, api: str
) -> None:
    sent = send(klaviyo, [ANN, BOB, ANN], url=url, max_rows=1, workers=4)
    assert len(sent.requests) == 1
    assert sent.report.stopped is not None
    code, said = sent.report.stopped
    assert code == "retired"
    assert f"its {api} API is gone: set url to one of the current API" in said
    assert sent.report.unsent == 3


def test_a_current_url_takes_a_json_api_body_around_the_rows(klaviyo: KlaviyoSimulator) -> None:
    rows = [
        {"type": "profile", "attributes": {"email": "ann@example.com"}},
        {"type": "profile", "attributes": {"email": "bob@example.com"}},
    ]
    body = (
        '{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":{rows}}},'
        f'"relationships":{{"lists":{{"data":[{{"type":"list","id":"{LIST}"}}]}}}}}}}}'
    )
    sent = send(klaviyo, rows, url="/api/profile-bulk-import-jobs", body=body)
    first = sent.requests[0]
    assert first.headers["revision"] == "2026-10-15"
    assert first.headers["Content-Type"] == "application/vnd.api+json"
    assert sent.report.delivered == 2  # the job was followed to its end
    assert len(klaviyo.lists[LIST]) == 2


def test_a_row_that_a_current_endpoint_names_is_rejected_alone(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"type": "profile", "attributes": {"email": email}} for email in ("a@example.com", "no", "c@example.com")]
    body = '{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":{rows}}}}}'
    sent = send(klaviyo, rows, url="/api/profile-bulk-import-jobs/", body=body)
    assert (sent.report.delivered, sent.report.rejected) == (2, 1)
    assert json.loads(sent.refused[0].rejection.record)["attributes"]["email"] == "no"
    posts = [request for request in sent.requests if request.method == "POST"]
    assert len(posts) == 2


def test_the_limits_of_a_known_endpoint_apply_in_manual_mode_too() -> None:
    columns = columns_of([{"type": "profile"}])
    current = plan_for(columns, url="https://a.klaviyo.com/api/profile-bulk-import-jobs", api_key=KEY)
    assert (current.limits.max_rows, current.limits.max_bytes) == (10_000, 5_000_000)
    assert current.limits.max_row_bytes == 100_000
    one = plan_for(columns, url="https://a.klaviyo.com/api/profile-import", body='{"data":{row}}', api_key=KEY)
    assert one.limits.max_rows == 1
    other = plan_for(columns, url="https://a.klaviyo.com/api/v2/list/x/members", api_key=KEY, max_rows=250)
    assert other.limits.max_rows == 250


def test_a_202_counts_as_accepted_and_not_as_delivered(klaviyo: KlaviyoSimulator) -> None:
    row = {"email": "ann@example.com", "metric": "Bought"}
    body = (
        '{"data":{"type":"event","attributes":{"properties":{row},'
        '"metric":{"data":{"type":"metric","attributes":{"name":"{metric}"}}},'
        '"profile":{"data":{"type":"profile","attributes":{"email":"{email}"}}}}}}'
    )
    sent = send(klaviyo, [row], url="/api/events", body=body)
    assert sent.report.accepted == 1
    assert klaviyo.events[0]["metric"] == "Bought"


def test_a_path_that_resembles_a_legacy_one_is_not_legacy() -> None:
    plan = plan_for(columns_of([ANN]), url="https://a.klaviyo.com/api/tracking-settings/x", method="PATCH", api_key=KEY)
    assert plan.headers["revision"] == "2026-10-15"
    assert plan.template.api is Api.CURRENT


def test_check_klaviyo_checks_a_manual_url_without_writing(klaviyo: KlaviyoSimulator) -> None:
    result = check_klaviyo(url=f"{klaviyo.url}{SINK}", api_key=KEY)
    assert [request for request in klaviyo.requests if request.method not in ("GET", "HEAD")] == []
    assert "cannot be tried without writing" in str(result)
