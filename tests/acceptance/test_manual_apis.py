"""URLs of the v1, v2 and current APIs in manual mode over real HTTP, and what follows a lost reply."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from spark_klaviyo.check.check import check_klaviyo
from spark_klaviyo.core.codes import Api
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from tests.acceptance.sending import KEY, LIST, SINK, Options, columns_of, plan_for, send

pytestmark = pytest.mark.oldest

ANN = {"email": "ann@example.com", "name": "Ann"}
BOB = {"email": "bob@example.com", "name": None}
MEMBERS = f"/api/v2/list/{LIST}/members"


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
    legacy_klaviyo: KlaviyoSimulator, resend: str, expected: dict[str, int]
) -> None:
    legacy_klaviyo.inject(Fault("reset_before", times=1))
    options: Options = {"url": MEMBERS, "key_in": "body", "resend": resend}
    sent = send(legacy_klaviyo, [ANN, {"email": "b@c.de"}], **options)
    assert sent.report.reasons == expected


# --- old and new APIs -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["body", "query", "header", "url"])
def test_a_v2_url_takes_the_key_in_body_query_header_or_url(legacy_klaviyo: KlaviyoSimulator, where: str) -> None:
    options: dict[str, Any] = (
        {"url": f"{MEMBERS}?api_key={KEY}", "body": '{"profiles":{rows}}'} if where == "url" else {"key_in": where}
    )
    if where in ("query", "header"):
        options["body"] = '{"profiles":{rows}}'
    sent = send(legacy_klaviyo, [ANN, BOB], **{"url": MEMBERS, **options})
    assert sent.report.delivered == 2
    assert sorted(profile["email"] for profile in legacy_klaviyo.lists[LIST].members) == [ANN["email"], BOB["email"]]
    assert sent.only.headers["Accept"] == sent.only.headers["Content-Type"] == "application/json"
    assert "revision" not in sent.only.headers


def test_a_v2_refusal_names_no_row_so_halving_finds_it(legacy_klaviyo: KlaviyoSimulator) -> None:
    rows = [{"email": f"p{n}@example.com"} for n in range(8)] + [{"email": "no address"}]
    sent = send(legacy_klaviyo, rows, url=MEMBERS, key_in="body")
    assert (sent.report.delivered, sent.report.rejected) == (8, 1)
    assert json.loads(sent.rejected[0].record) == {"email": "no address"}
    assert sent.rejected[0].email == "no address"


def test_a_bad_key_stops_a_v2_write_after_one_request(legacy_klaviyo: KlaviyoSimulator) -> None:
    sent = send(legacy_klaviyo, [ANN, BOB], url=MEMBERS, key_in="body", api_key="pk_wrong", max_rows=1)
    assert len(sent.requests) == 1
    assert sent.report.stopped is not None
    assert sent.report.unsent == 2


def test_a_v1_url_takes_the_key_in_its_query(legacy_klaviyo: KlaviyoSimulator) -> None:
    legacy_klaviyo.add_profiles([{"email": "ann@example.com"}])
    person = legacy_klaviyo.profiles[0]["id"]
    row = {"id": person, "level": "gold & more"}
    sent = send(legacy_klaviyo, [row], url="/api/v1/person/{id}?level={level}", method="PUT", body=" ")
    assert sent.only.query == {"level": "gold & more", "api_key": KEY}
    assert legacy_klaviyo.profiles[0]["properties"] == {"level": "gold & more"}


def test_track_takes_its_token_beside_the_fields_of_the_row(legacy_klaviyo: KlaviyoSimulator) -> None:
    row = {"event": "Bought", "customer_properties": {"$email": "ann@example.com"}, "properties": {"$value": 9.5}}
    rows = [{**row, "time": 1_700_000_000}, {**row, "time": 1_700_000_001}]
    sent = send(legacy_klaviyo, rows, url="/api/track", content_format="form-data-param", workers=1)
    assert [json.loads(parse_qs(body)["data"][0]) for body in sent.bodies] == [{"token": KEY, **row} for row in rows]
    assert {request.headers["Content-Type"] for request in sent.requests} == {"application/x-www-form-urlencoded"}
    assert [event["value"] for event in legacy_klaviyo.events] == [9.5, 9.5]
    assert sent.report.accepted == 2  # the reply 1 does not confirm the key


def test_track_takes_a_body_template_in_its_data_parameter(legacy_klaviyo: KlaviyoSimulator) -> None:
    row = {"email": "ann@example.com", "amount": 3}
    body = '{"token":"{api_key}","event":"Bought & kept","customer_properties":{"$email":"{email}"},"properties":{row}}'
    for text in (body, f"data={body}"):
        sent = send(legacy_klaviyo, [row], url="/api/track", content_format="form-data-param", body=text)
        payload = json.loads(parse_qs(sent.bodies[0])["data"][0])
        assert payload == {
            "token": KEY,
            "event": "Bought & kept",
            "customer_properties": {"$email": "ann@example.com"},
            "properties": row,
        }
        assert sent.report.accepted == 1


def test_track_by_get_takes_base64_from_a_column(legacy_klaviyo: KlaviyoSimulator) -> None:
    payload = {"token": "pk", "event": "Seen", "customer_properties": {"$email": "ann@example.com"}}
    row = {"data": base64.b64encode(json.dumps(payload).encode()).decode()}
    sent = send(legacy_klaviyo, [row], url="/api/track?data={data}", method="GET")
    assert sent.report.accepted == 1
    assert [event["metric"] for event in legacy_klaviyo.events] == ["Seen"]


def test_the_v1_reply_zero_is_a_refusal_although_its_status_is_200(legacy_klaviyo: KlaviyoSimulator) -> None:
    rows: list[dict[str, object]] = [
        {"properties": {"$email": "ann@example.com", "name": "Ann"}},
        {"properties": {"$email": None, "name": "Nobody"}},
    ]
    sent = send(legacy_klaviyo, rows, url="/api/identify", content_format="form-data-param", workers=1)
    assert (sent.report.accepted, sent.report.rejected) == (1, 1)
    [row] = sent.rejected
    assert (row.code, row.status) == ("refused", 200)
    assert "the answer was 0" in row.detail


@pytest.mark.parametrize(
    ("url", "api"), [(MEMBERS, "v2"), ("/api/v1/person/X", "v1"), ("/api/track", "v1"), ("/api/identify", "v1")]
)
def test_a_retired_url_stops_at_once_and_names_the_one_option_to_change(
    klaviyo: KlaviyoSimulator, url: str, api: str
) -> None:
    sent = send(klaviyo, [ANN, BOB, ANN], url=url, max_rows=1, workers=4)
    assert len(sent.requests) == 1
    assert sent.report.stopped is not None
    code, message = sent.report.stopped
    assert code == "retired"
    assert f"its {api} API is gone: set url to one of the current API" in message
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
    assert json.loads(sent.rejected[0].record)["attributes"]["email"] == "no"
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
