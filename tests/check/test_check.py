"""check_klaviyo over real HTTP: what passes, what fails, what cannot be checked; nothing is written."""

from __future__ import annotations

import socket
from datetime import date

import pytest

from spark_klaviyo import check_klaviyo
from spark_klaviyo.check.account_lines import revision_line
from spark_klaviyo.core.codes import Api
from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from spark_klaviyo.templates import find_template, templates

SHOP = "Test Shop"


def check(klaviyo: KlaviyoSimulator, **given: object) -> CheckResult:
    options = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "base_url": klaviyo.url, "api_key": "pk_test"}
    return check_klaviyo(**{name: value for name, value in {**options, **given}.items() if value is not None})


def line(result: CheckResult, name: str) -> CheckLine:
    return next(one for one in result.lines if one.name == name)


def only_reads(klaviyo: KlaviyoSimulator) -> bool:
    return {request.method for request in klaviyo.requests} <= {"GET", "HEAD"}


def test_right_options_pass_and_nothing_is_written() -> None:
    with KlaviyoSimulator(account=SHOP) as klaviyo:
        result = check(klaviyo)
        assert result.ok
        assert result.account == SHOP
        assert line(result, "list").detail.startswith("'Newsletter' (Y6nRLr")
        assert line(result, "scopes for following jobs").ok is True
        assert line(result, "scopes for writing").ok is None
        assert "lists:write, profiles:write" in line(result, "scopes for writing").detail
        assert only_reads(klaviyo)


def test_the_account_is_read_once_as_it_allows_one_call_a_second() -> None:
    with KlaviyoSimulator(limits="published") as klaviyo:
        assert check(klaviyo).ok
        assert [request.path for request in klaviyo.requests].count("/api/accounts") == 1
        assert 429 not in {request.status for request in klaviyo.requests}


def test_without_a_template_only_the_account_is_read() -> None:
    with KlaviyoSimulator(account=SHOP) as klaviyo:
        result = check_klaviyo(base_url=klaviyo.url, api_key="pk_test")
        assert result.ok
        assert result.account == SHOP
        assert [request.path for request in klaviyo.requests] == ["/api/accounts"]


def test_nothing_more_is_read_with_a_refused_key() -> None:
    with KlaviyoSimulator(api_keys=["pk_another"]) as klaviyo:
        result = check(klaviyo)
        assert not result.ok
        assert line(result, "key").ok is False
        assert line(result, "address").ok is True
        assert len(klaviyo.requests) == 1
        assert "pk_test" not in f"{result}{result!r}{result.to_dict()}{result._repr_html_()}"


def test_a_key_that_may_not_read_the_account_passes() -> None:
    with KlaviyoSimulator(api_keys={"pk_test": ["lists:read", "lists:write", "profiles:read", "profiles:write"]}) as k:
        result = check(k)
        assert result.ok
        assert line(result, "key").ok is True
        assert line(result, "account").ok is None
        assert "accounts:read" in line(result, "account").detail


def test_scopes_that_are_missing_for_following_jobs_are_named() -> None:
    with KlaviyoSimulator(api_keys={"pk_test": ["accounts:read", "lists:read", "lists:write", "profiles:write"]}) as k:
        result = check(k)
        assert line(result, "scopes for following jobs").ok is False
        assert "profiles:read" in line(result, "scopes for following jobs").detail
        assert not result.ok
        assert check(k, wait_for_jobs="false").ok


def test_an_unknown_list_fails_with_a_way_to_find_it() -> None:
    with KlaviyoSimulator() as klaviyo:
        result = check(klaviyo, list_id="Nowhere")
        assert line(result, "list").ok is False
        assert "spark-klaviyo lists" in line(result, "list").advice


def test_each_of_several_lists_has_its_own_line() -> None:
    with KlaviyoSimulator() as klaviyo:
        result = check(klaviyo, list_id="Y6nRLr,Nowhere,Lst1Aa")
        assert [one.ok for one in result.lines if one.name == "list"] == [True, False, True]


def test_a_name_is_looked_up_and_a_column_is_not_checked() -> None:
    with KlaviyoSimulator() as klaviyo:
        assert line(check(klaviyo, list_id="name:VIP"), "list").detail.startswith("'VIP' (Lst1Aa")
        assert line(check(klaviyo, list_id="name:Nobody"), "list").ok is False
        assert line(check(klaviyo, list_id="column:lists"), "list").ok is None


def test_coupons_data_sources_and_tags_are_checked() -> None:
    with KlaviyoSimulator() as klaviyo:
        for template, setting, kind in (
            ("bulk_create_coupon_codes", "coupon_id", "coupon"),
            ("bulk_create_data_source_records", "data_source_id", "data-source"),
            ("tag_lists", "tag_id", "tag"),
        ):
            result = check(klaviyo, template=template, list_id=None, **{setting: "gone"})
            assert line(result, kind).ok is False
        assert only_reads(klaviyo)


def test_an_unreachable_address_fails_with_what_to_do() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        result = check_klaviyo(base_url=f"http://127.0.0.1:{held.getsockname()[1]}", api_key="pk_test", attempts=1)
    assert [one.name for one in result.lines if one.ok is False] == ["address"]
    assert "refused" in line(result, "address").detail
    assert "firewalls" in line(result, "address").advice


def test_an_unknown_host_name_has_its_own_message() -> None:
    result = check_klaviyo(
        base_url="https://klaviyo.invalid", trusted_hosts="klaviyo.invalid", api_key="pk_test", attempts=1
    )
    assert "could not be resolved" in line(result, "address").detail


def test_a_server_without_tls_has_its_own_message() -> None:
    with KlaviyoSimulator() as klaviyo:
        result = check_klaviyo(base_url=klaviyo.url.replace("http:", "https:"), api_key="pk_test", attempts=1)
        assert line(result, "address").ok is False
        assert "TLS" in line(result, "address").detail


def test_a_reply_that_is_no_json_fails() -> None:
    with KlaviyoSimulator(faults=[Fault("status", status=200, body="<html>hello</html>")]) as klaviyo:
        assert not check(klaviyo, attempts=1).ok


def test_the_date_of_retirement_is_shown_from_the_reply() -> None:
    fresh = revision_line("2026-10-15", {}, date(2026, 11, 24))
    assert (fresh.ok, fresh.advice) == (True, "")
    soon = revision_line("2026-10-15", {"x-klaviyo-api-retirement-date": "2028-10-15"}, date(2026, 11, 24))
    assert soon.ok is True
    assert "2028-10-15" in soon.advice
    assert revision_line("2024-07-15", {}, date(2026, 11, 24)).ok is False
    assert "deprecated" in revision_line("2025-04-15", {}, date(2026, 11, 24)).advice


def test_a_revision_in_the_future_fails() -> None:
    assert revision_line("2031-01-15", {}, date(2026, 11, 24)).ok is False


def test_wrong_options_are_an_error_with_every_complaint() -> None:
    with pytest.raises(OptionError) as raised:
        check_klaviyo(template="add_profiles_to_list", lst_id="Y6nRLr", api_key="pk_test", tasks="many")
    assert len(raised.value.complaints) == 3


def test_manual_mode_lists_what_is_not_checked_and_writes_nothing() -> None:
    with KlaviyoSimulator() as klaviyo:
        result = check_klaviyo(url=f"{klaviyo.url}/__sink/orders", api_key="pk_test")
        assert result.ok
        assert line(result, "address").ok is True
        assert line(result, "endpoint").ok is None
        assert "send_sample=row" in line(result, "endpoint").advice
        assert only_reads(klaviyo)


def test_manual_mode_at_a_current_endpoint_tries_the_key() -> None:
    with KlaviyoSimulator(api_keys=["pk_another"]) as klaviyo:
        result = check_klaviyo(url=f"{klaviyo.url}/api/profile-bulk-import-jobs", api_key="pk_test")
        assert line(result, "key").ok is False


def test_a_retired_endpoint_of_klaviyo_fails_without_a_request() -> None:
    result = check_klaviyo(
        url="https://klaviyo.com/api/v2/list/Y6nRLr/members", api_key="pk_test", proxy="http://127.0.0.1:9"
    )
    assert line(result, "endpoint").ok is False
    assert "2024-06-30" in line(result, "endpoint").detail


def test_one_sample_row_is_sent_only_when_asked_for() -> None:
    with KlaviyoSimulator() as klaviyo:
        url = f"{klaviyo.url}/api/profile-import"
        body = '{"data":{"type":"profile","attributes":{row}}}'
        options = {"url": url, "body": body, "api_key": "pk_test", "header.revision": "2026-10-15"}
        assert check_klaviyo(**options).ok
        assert klaviyo.profiles == []
        result = check_klaviyo(send_sample={"email": "ann@example.com"}, **options)
        assert result.ok
        assert result.sent
        assert "HTTP 201" in line(result, "sample row").detail
        assert [profile["email"] for profile in klaviyo.profiles] == ["ann@example.com"]
        assert "Nothing was written" not in str(result._repr_html_())


def test_a_sample_row_that_is_refused_is_a_failure_that_repeats_no_value() -> None:
    with KlaviyoSimulator() as klaviyo:
        result = check(klaviyo, send_sample={"email": "secret-person@@example"})
        assert line(result, "sample row").ok is False
        assert "bad_email" in line(result, "sample row").detail
        assert "secret-person" not in str(result)
        assert only_reads(klaviyo)


def test_a_sample_of_a_deletion_and_a_sample_that_is_no_row_are_refused() -> None:
    with KlaviyoSimulator() as klaviyo:
        with pytest.raises(OptionError, match="deletes"):
            check(klaviyo, template="request_profile_deletion", list_id=None, send_sample={"email": "a@example.com"})
        with pytest.raises(OptionError, match="expected one row"):
            check(klaviyo, send_sample="a@example.com")
        assert only_reads(klaviyo)


CARE = sorted((one.name, str(one.api)) for one in templates() if one.needs_care)


def test_every_template_that_changes_who_is_reached_or_what_there_is_asks_for_care() -> None:
    words = ("delete", "deletion", "remove", "merge", "subscri", "suppress", "unsubscribe")
    named = {(one.name, str(one.api)) for one in templates() if any(word in one.name for word in words)}
    assert named == set(CARE)


@pytest.mark.parametrize(("template", "api"), CARE)
def test_no_sample_of_such_a_template_is_ever_sent(template: str, api: str) -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "ann@example.com"}], list_id="Y6nRLr")
        settings = {one.name: "x" for one in find_template(template, Api(api)).settings if one.required}
        settings |= {"confirm_unsuppress": "true"} if "unsuppress" in template else {}
        settings |= {"list_id": "Y6nRLr"} if "unsubscribe" in template else {}
        given = {"template": template, "api": api, **settings}
        sample = {"email": "ann@example.com", "channels": "email", "id": klaviyo.profiles[0]["id"]}
        with pytest.raises(OptionError, match="no sample of it is ever sent"):
            check_klaviyo(send_sample=sample, api_key="pk_test", base_url=klaviyo.url, **given)
        assert klaviyo.requests == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/data-privacy-deletion-jobs"),
        ("POST", "/api/profile-merge/"),
        ("POST", "/api/profile-subscription-bulk-create-jobs"),
        ("POST", "/api/profile-suppression-bulk-create-jobs"),
        ("DELETE", "/api/lists/Y6nRLr/relationships/profiles"),
        ("DELETE", "/api/v2/list/Y6nRLr/members"),
        ("POST", "/api/v2/list/Y6nRLr/subscribe"),
        ("POST", "/api/v1/people/exclusions"),
    ],
)
def test_no_sample_goes_to_the_url_of_such_a_call(method: str, path: str) -> None:
    with KlaviyoSimulator() as klaviyo:
        given = {"url": klaviyo.url + path, "method": method, "api_key": "pk_test"}
        with pytest.raises(OptionError, match="send_sample: this url"):
            check_klaviyo(send_sample={"email": "ann@example.com"}, **given)
        assert klaviyo.requests == []
        assert "send_sample" not in str(check_klaviyo(**given))  # nor is it proposed


def test_the_account_that_is_expected_is_checked() -> None:
    with KlaviyoSimulator(account=SHOP) as klaviyo:
        assert check(klaviyo, account_id=klaviyo.account.id).ok
        result = check(klaviyo, account_id="Xy12Ab")
        assert line(result, "account").ok is False
        assert line(result, "account").detail == f"{SHOP} ({klaviyo.account.id}), and account_id=Xy12Ab is expected"
    with KlaviyoSimulator(api_keys={"pk_test": ["lists:read", "lists:write", "profiles:write"]}) as klaviyo:
        assert line(check(klaviyo), "account").ok is None
        assert line(check(klaviyo, account_id="Xy12Ab"), "account").ok is False
