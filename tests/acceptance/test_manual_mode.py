"""Manual mode over real HTTP: methods, URLs, headers, and where the key travels."""

from __future__ import annotations

import json
import pickle

import pytest

from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from tests.acceptance.sending import KEY, ROWS_AS, SINK, Options, Row, columns_of, plan_for, send

pytestmark = pytest.mark.oldest

ANN = {"email": "ann@example.com", "name": "Ann"}
BOB = {"email": "bob@example.com", "name": None}


# --- methods and URLs -----------------------------------------------------------------------------


@pytest.mark.parametrize("rows_as", ROWS_AS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_any_method_sends_the_rows_as_they_are(klaviyo: KlaviyoSimulator, method: str, rows_as: str) -> None:
    sent = send(klaviyo, [ANN, BOB], rows_as=rows_as, url=SINK, method=method)
    assert (sent.only.method, sent.only.json()) == (method, [ANN, {"email": "bob@example.com"}])
    assert sent.report.delivered == 2


@pytest.mark.parametrize("rows_as", ROWS_AS)
def test_get_carries_the_rows_in_its_url_and_no_body(klaviyo: KlaviyoSimulator, rows_as: str) -> None:
    sent = send(klaviyo, [ANN, BOB], rows_as=rows_as, url=f"{SINK}/{{email}}?source=crm", method="GET")
    assert [request.body for request in sent.requests] == [b"", b""]
    assert {request.path for request in sent.requests} == {f"{SINK}/ann%40example.com", f"{SINK}/bob%40example.com"}
    assert sent.requests[0].query == {"source": "crm"}
    assert sent.report.delivered == 2


@pytest.mark.parametrize("rows_as", ROWS_AS)
def test_path_parameters_come_from_the_row_percent_encoded(klaviyo: KlaviyoSimulator, rows_as: str) -> None:
    rows: list[Row] = [{"sku": "a/b?c#d é{sku}", "price": 3}, {"sku": "x", "price": 4}]
    sent = send(klaviyo, rows, rows_as=rows_as, url=f"{SINK}/items/{{sku}}/{{price}}", method="PATCH")
    paths = {request.path: request.json() for request in sent.requests}
    assert paths == {
        f"{SINK}/items/a%2Fb%3Fc%23d%20%C3%A9%7Bsku%7D/3": rows[0],
        f"{SINK}/items/x/4": rows[1],
    }


def test_query_parameters_come_from_the_row_percent_encoded(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"email": "a+b&c=d@example.com", "n": 1}]
    sent = send(klaviyo, rows, url=f'{SINK}?filter=equals(email,"{{email}}")&n={{n}}&fixed=a%20b', method="GET")
    assert sent.only.query == {"filter": 'equals(email,"a+b&c=d@example.com")', "n": "1", "fixed": "a b"}


@pytest.mark.parametrize("rows_as", ROWS_AS)
def test_a_row_without_the_value_that_its_url_needs_is_rejected_alone(klaviyo: KlaviyoSimulator, rows_as: str) -> None:
    rows: list[Row] = [{"sku": "a"}, {"sku": None}, {"sku": " "}]
    sent = send(klaviyo, rows, rows_as=rows_as, url=f"{SINK}/{{sku}}", method="PUT")
    assert [request.path for request in sent.requests] == [f"{SINK}/a"]
    assert [row.code for row in sent.rejected] == ["missing_field"] * 2


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
    with pytest.raises(OptionError, match="url: holds api_key in its query, which key_in contradicts"):
        plan_for(columns_of([ANN]), url=f"https://a.klaviyo.com/x?api_key={KEY}", key_in="body")


def test_a_reference_in_the_urls_query_is_resolved(klaviyo: KlaviyoSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    assert send(klaviyo, [ANN], url=f"{klaviyo.url}{SINK}?api_key=env:MY_KEY").only.query == {"api_key": KEY}


@pytest.mark.parametrize("key_in", ["header", "query", "body", "none"])
def test_no_receipt_rejection_or_report_holds_the_key(klaviyo: KlaviyoSimulator, key_in: str) -> None:
    klaviyo.inject(Fault("status", status=400, detail=f"the key {KEY} is bad"))
    sent = send(klaviyo, [ANN, BOB], url="/api/nowhere", key_in=key_in)
    shown = repr(sent.events) + json.dumps(sent.report.to_dict()) + str(sent.report)
    assert KEY not in shown + repr(sent.plan)
