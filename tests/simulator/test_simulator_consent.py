"""Consent: which profiles are subscribed, which are silently not, and what unsubscribing changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import call, import_rows, new, profile, subscribe_body, unsubscribe_body

SUBSCRIBE = "/api/profile-subscription-bulk-create-jobs"
UNSUBSCRIBE = "/api/profile-subscription-bulk-delete-jobs"
SUPPRESS = "/api/profile-suppression-bulk-create-jobs"
UNSUPPRESS = "/api/profile-suppression-bulk-delete-jobs"
YES: dict[str, Any] = {"email": {"marketing": {"consent": "SUBSCRIBED"}}}
ROW = "/data/attributes/profiles/data/0/attributes"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        yield simulator


def consent(klaviyo: KlaviyoSimulator, number: int = 0, channel: str = "email") -> str:
    found: str = klaviyo.profiles[number]["subscriptions"][channel]["marketing"]["consent"]
    return found


def dated(moment: str | None) -> dict[str, Any]:
    return {
        "email": "a@b.co",
        "subscriptions": {"email": {"marketing": {"consent": "SUBSCRIBED", "consented_at": moment}}},
    }


def test_a_new_email_is_subscribed_with_a_list(klaviyo: KlaviyoSimulator) -> None:
    got = call(klaviyo, "POST", SUBSCRIBE, subscribe_body([{"email": "a@b.co", "subscriptions": YES}], "Y6nRLr"))

    assert (got.status, got.body) == (202, b"")
    assert consent(klaviyo) == "SUBSCRIBED"
    assert [held["email"] for held in klaviyo.lists["Y6nRLr"]] == ["a@b.co"]


def test_without_list_and_history_a_new_email_never_becomes_a_profile(klaviyo: KlaviyoSimulator) -> None:
    got = call(klaviyo, "POST", SUBSCRIBE, subscribe_body([{"email": "a@b.co", "subscriptions": YES}]))

    assert (got.status, klaviyo.profiles) == (202, [])


def test_without_a_list_a_known_profile_is_subscribed(klaviyo: KlaviyoSimulator) -> None:
    import_rows(klaviyo, [{"email": "a@b.co"}])
    call(klaviyo, "POST", SUBSCRIBE, subscribe_body([{"email": "a@b.co", "subscriptions": YES}]))

    assert consent(klaviyo) == "SUBSCRIBED"


def test_double_opt_in_waits_for_the_person_unless_it_is_history(klaviyo: KlaviyoSimulator) -> None:
    made = call(klaviyo, "POST", "/api/lists", new("list", name="D", opt_in_process="double_opt_in")).json["data"]["id"]

    call(klaviyo, "POST", SUBSCRIBE, subscribe_body([{"email": "a@b.co", "subscriptions": YES}], made))
    assert klaviyo.profiles == []

    body = subscribe_body([dated("2020-01-01T00:00:00Z")], made, historical_import=True)
    assert call(klaviyo, "POST", SUBSCRIBE, body).status == 202
    assert (
        klaviyo.profiles[0]["subscriptions"]["email"]["marketing"]["consent_timestamp"] == "2020-01-01T00:00:00+00:00"
    )


def test_double_opt_in_may_be_the_accounts_default() -> None:
    with KlaviyoSimulator(double_opt_in=True) as klaviyo:
        import_rows(klaviyo, [{"email": "a@b.co"}])
        call(klaviyo, "POST", SUBSCRIBE, subscribe_body([{"email": "a@b.co", "subscriptions": YES}]))

    assert klaviyo.profiles[0]["subscriptions"] == {}


DATES: list[tuple[str | None, bool, str | None]] = [
    ("2020-01-01T00:00:00Z", False, "'consented_at' is only allowed when 'historical_import' is true."),
    (None, True, "'consented_at' is required when 'historical_import' is true."),
    ("2999-01-01T00:00:00Z", True, "'consented_at' must be in the past."),
    ("2020-01-01T00:00:00Z", True, None),
]


@pytest.mark.parametrize(("moment", "historical", "detail"), DATES)
def test_a_consent_date_needs_historical_import(
    klaviyo: KlaviyoSimulator, moment: str | None, historical: bool, detail: str | None
) -> None:
    got = call(klaviyo, "POST", SUBSCRIBE, subscribe_body([dated(moment)], "Y6nRLr", historical_import=historical))

    assert got.status == (202 if detail is None else 400)
    if detail is not None:
        assert (got.errors[0]["detail"], got.pointers) == (
            detail,
            [f"{ROW}/subscriptions/email/marketing/consented_at"],
        )


def test_a_backdated_consent_is_refused_beside_a_later_subscription_or_unsubscription(
    klaviyo: KlaviyoSimulator,
) -> None:
    def send(moment: str) -> Any:
        return call(klaviyo, "POST", SUBSCRIBE, subscribe_body([dated(moment)], historical_import=True))

    send("2020-02-21T05:29:23Z")
    later, earlier = send("2025-07-22T18:22:22Z"), send("2019-01-01T00:00:00Z")
    stamp = klaviyo.profiles[0]["subscriptions"]["email"]["marketing"]["consent_timestamp"]
    call(klaviyo, "POST", UNSUBSCRIBE, unsubscribe_body(["a@b.co"]))
    before = send("2025-07-22T18:22:22Z")

    assert later.errors[0]["detail"] == (
        "backdated consent date [2025-07-22 18:22:22+00:00] "
        "is after current subscription date [2020-02-21 05:29:23+00:00]"
    )
    assert (earlier.status, stamp) == (202, "2020-02-21T05:29:23+00:00")  # accepted, the present date stays
    assert "is before current unsubscription date [" in before.errors[0]["detail"]


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"email": "a@b.co", "last_name": "x", "subscriptions": YES}, "/last_name",
     "'last_name' is not a valid field for the resource 'profile'."),
    ({"email": "a@b.co", "subscriptions": {"sms": YES["email"]}}, "/phone_number",
     "'phone_number' must not be empty when the sms channel is included in 'subscriptions'."),
    ({"phone_number": "+12025550100", "subscriptions": YES}, "/email",
     "'email' must not be empty when the email channel is included in 'subscriptions'."),
    ({"email": "a@b.co"}, "/subscriptions", "'subscriptions' is a required field."),
    ({"email": "a@b.co", "subscriptions": {"email": {"marketing": {"consent": "YES"}}}},
     "/subscriptions/email/marketing/consent", "'YES' is not a valid choice for 'consent'."),
    ({"phone_number": "12", "subscriptions": {"sms": YES["email"]}}, "/phone_number",
     "Invalid phone number format (Example of a valid format: +12345678901)"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "where", "detail"), BAD)
def test_only_the_listed_fields_and_a_fitting_identifier_are_taken(
    klaviyo: KlaviyoSimulator, row: dict[str, Any], where: str, detail: str
) -> None:
    got = call(klaviyo, "POST", SUBSCRIBE, subscribe_body([row], "Y6nRLr"))

    assert (got.pointers, got.errors[0]["detail"]) == ([ROW + where], detail)
    assert klaviyo.profiles == []


@pytest.mark.parametrize("path", [SUBSCRIBE, UNSUBSCRIBE])
def test_an_unknown_list_is_named(klaviyo: KlaviyoSimulator, path: str) -> None:
    make = subscribe_body([{"email": "a@b.co", "subscriptions": YES}], "nosuch")
    got = call(klaviyo, "POST", path, make if path == SUBSCRIBE else unsubscribe_body(["a@b.co"], "nosuch"))

    assert got.errors[0]["detail"] == "List not found with id nosuch."
    assert got.pointers == ["/data/relationships/list/data/id"]


def test_phones_are_subscribed_on_their_channels(klaviyo: KlaviyoSimulator) -> None:
    channels = {"sms": {"marketing": {"consent": "SUBSCRIBED"}, "transactional": {"consent": "SUBSCRIBED"}}}
    push = {
        "push": {
            "marketing": {"consent": "SUBSCRIBED"},
            "tokens": [{"token": "t", "platform": "ios", "vendor": "apns"}],
        }
    }
    row = {"phone_number": "+12025550100", "subscriptions": {**channels, **push}}

    assert call(klaviyo, "POST", SUBSCRIBE, subscribe_body([row], "Y6nRLr")).status == 202
    assert consent(klaviyo, channel="sms") == consent(klaviyo, channel="mobile_push") == "SUBSCRIBED"
    assert list(klaviyo.push_tokens) == ["t"]


def test_unsubscribing_with_a_list_is_global_for_people_who_are_not_on_it(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"email": f"{name}@b.co", "subscriptions": YES} for name in ("on", "off")]
    call(klaviyo, "POST", SUBSCRIBE, subscribe_body(rows, "Lst1Aa"))
    call(klaviyo, "POST", SUBSCRIBE, subscribe_body(rows[:1], "Y6nRLr"))

    call(klaviyo, "POST", UNSUBSCRIBE, unsubscribe_body(["on@b.co", "off@b.co", "new@b.co"], "Y6nRLr"))

    assert [consent(klaviyo, number) for number in range(3)] == ["SUBSCRIBED", "UNSUBSCRIBED", "UNSUBSCRIBED"]
    assert len(klaviyo.lists["Y6nRLr"]) == 0
    marketing = klaviyo.profiles[0]["subscriptions"]["email"]["marketing"]
    assert marketing["list_suppressions"][0]["list_id"] == "Y6nRLr"


def test_suppression_is_lifted_by_subscribing_and_unsuppressing_lifts_no_unsubscription(
    klaviyo: KlaviyoSimulator,
) -> None:
    def reasons() -> list[str]:
        return [entry["reason"] for entry in klaviyo.profiles[0]["subscriptions"]["email"]["marketing"]["suppression"]]

    emails = {"data": [profile(email="a@b.co")]}
    call(klaviyo, "POST", SUPPRESS, new("profile-suppression-bulk-create-job", profiles=emails))
    call(klaviyo, "POST", UNSUBSCRIBE, unsubscribe_body(["a@b.co"]))
    assert reasons() == ["USER_SUPPRESSED", "UNSUBSCRIBE"]

    call(klaviyo, "POST", UNSUPPRESS, new("profile-suppression-bulk-delete-job", profiles=emails))
    assert reasons() == ["UNSUBSCRIBE"]
    call(klaviyo, "POST", SUBSCRIBE, subscribe_body([{"email": "a@b.co", "subscriptions": YES}], "Y6nRLr"))
    assert reasons() == []


def test_suppression_takes_exactly_one_of_emails_list_and_segment(klaviyo: KlaviyoSimulator) -> None:
    kind = "profile-suppression-bulk-create-job"
    klaviyo.add_profiles(3, "Y6nRLr")
    klaviyo.segments["S1"] = {"id": "S1", "name": "Some", "profile_ids": [klaviyo.profiles[0]["id"]]}
    links = {"list": {"data": {"type": "list", "id": "Y6nRLr"}}, "segment": {"data": {"type": "segment", "id": "S1"}}}

    def send(**relationships: Any) -> int:
        return call(
            klaviyo, "POST", SUPPRESS, {"data": {"type": kind, "attributes": {}, "relationships": relationships}}
        ).status

    assert call(klaviyo, "POST", SUPPRESS, {"data": {"type": kind, "attributes": {}}}).status == 400
    assert send(**links) == 400
    assert send(segment=links["segment"]) == 202
    assert len(klaviyo.suppressed) == 1
    assert send(list=links["list"]) == 202
    assert len(klaviyo.suppressed) == 3


def test_each_job_has_its_own_ceiling(klaviyo: KlaviyoSimulator) -> None:
    rows = [{"email": f"p{number}@b.co", "subscriptions": YES} for number in range(1001)]
    emails = [str(row["email"]) for row in rows[:101]]
    many = new("profile-suppression-bulk-create-job", profiles={"data": [profile(email=email) for email in emails]})

    assert call(klaviyo, "POST", SUBSCRIBE, subscribe_body(rows, "Y6nRLr")).status == 400
    assert call(klaviyo, "POST", UNSUBSCRIBE, unsubscribe_body(emails)).status == 400
    assert call(klaviyo, "POST", SUPPRESS, many).status == 400
    assert klaviyo.profiles == []


def test_click_tracking_came_in_october_2026(klaviyo: KlaviyoSimulator) -> None:
    row = {"email": "a@b.co", "subscriptions": {"email": {"click_tracking": {"consent": "SUBSCRIBED"}}}}
    body = subscribe_body([row], "Y6nRLr")

    assert call(klaviyo, "POST", SUBSCRIBE, body).status == 202
    assert call(klaviyo, "POST", SUBSCRIBE, body, {"revision": "2026-07-15"}).status == 400
