"""What a profile's consent means for a channel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from spark_klaviyo.core.clock import time_of
from spark_klaviyo.task.consent import Consents, ConsentStatus, judge_consent
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.consent import CHANNELS

OPTED_OUT, SUBSCRIBED, OPEN = ConsentStatus.OPTED_OUT, ConsentStatus.SUBSCRIBED, ConsentStatus.OPEN
BY_NAME = {channel.name: channel for channel in CHANNELS}
EARLY, MIDDLE, LATE = "2020-01-01T00:00:00+00:00", "2022-01-01T00:00:00+00:00", "2024-01-01T00:00:00+00:00"
LIST = "Y6nRLr"


def email(consent: str = "NEVER_SUBSCRIBED", at: str = MIDDLE, *reasons: str, of_list: str = "") -> dict[str, Any]:
    held = [{"reason": reason, "timestamp": at} for reason in reasons]
    marketing = {"consent": consent, "consent_timestamp": at, "last_updated": None, "suppression": held}
    if of_list:
        marketing |= {"suppression": [], "list_suppressions": [{**held[0], "list_id": of_list}]}
    return {"email": {"marketing": marketing}}


CASES: list[tuple[dict[str, Any] | None, str, str | None, ConsentStatus]] = [
    (None, "email", None, OPEN),
    ({}, "sms", None, OPEN),
    ({"whatsapp": None}, "whatsapp", None, OPEN),
    (email(), "email", None, OPEN),
    (email("SUBSCRIBED"), "email", None, SUBSCRIBED),
    (email("UNSUBSCRIBED"), "email", None, OPTED_OUT),
    (email("UNSUBSCRIBED"), "email.open_tracking", None, OPTED_OUT),
    (email("UNSUBSCRIBED"), "sms", None, OPEN),
    (email("SUBSCRIBED", MIDDLE, "USER_SUPPRESSED"), "email", None, OPTED_OUT),
    (email("SUBSCRIBED", MIDDLE, "HARD_BOUNCE", "INVALID_EMAIL"), "email", None, SUBSCRIBED),
    (email("SUBSCRIBED", MIDDLE, "SPAM_COMPLAINT"), "push", None, OPEN),
    (email("SUBSCRIBED", MIDDLE, "A_REASON_OF_TOMORROW"), "email", None, OPTED_OUT),
    (email("SUBSCRIBED", MIDDLE, "UNSUBSCRIBE", of_list=LIST), "email", None, OPTED_OUT),
    (email("SUBSCRIBED", MIDDLE, "UNSUBSCRIBE", of_list="Lst1Aa"), "email", None, SUBSCRIBED),
    (email("SUBSCRIBED", MIDDLE, "HARD_BOUNCE", of_list=LIST), "email", None, SUBSCRIBED),
    # only an opt-out that is not older than the consent counts; one without a time does
    (email("UNSUBSCRIBED", EARLY), "email", MIDDLE, OPEN),
    (email("UNSUBSCRIBED", MIDDLE), "email", MIDDLE, OPTED_OUT),
    (email("UNSUBSCRIBED", LATE), "email", MIDDLE, OPTED_OUT),
    (email("UNSUBSCRIBED", ""), "email", LATE, OPTED_OUT),
    (email("NEVER_SUBSCRIBED", EARLY, "USER_SUPPRESSED"), "email", MIDDLE, OPEN),
    (email("NEVER_SUBSCRIBED", LATE, "USER_SUPPRESSED"), "email", MIDDLE, OPTED_OUT),
    (email("SUBSCRIBED", EARLY, "UNSUBSCRIBE"), "email", MIDDLE, OPEN),
    ({"mobile_push": {"marketing": {"consent": "UNSUBSCRIBED"}}}, "push", None, OPTED_OUT),
    ({"sms": {"transactional": {"consent": "UNSUBSCRIBED"}}}, "sms.transactional", None, OPTED_OUT),
    ({"sms": {"transactional": {"consent": "UNSUBSCRIBED"}}}, "sms", None, OPEN),
]


@pytest.mark.parametrize(("subscriptions", "channel", "consented_at", "expected"), CASES)
def test_what_is_held_decides(
    subscriptions: Any, channel: str, consented_at: str | None, expected: ConsentStatus
) -> None:
    when = datetime.fromisoformat(consented_at) if consented_at else None
    assert judge_consent(subscriptions, BY_NAME[channel], LIST, when) is expected


def test_the_newest_time_of_an_unsubscription_counts() -> None:
    held = email("UNSUBSCRIBED", EARLY)
    held["email"]["marketing"]["last_updated"] = LATE
    assert judge_consent(held, BY_NAME["email"], "", time_of(MIDDLE)) is OPTED_OUT


@pytest.mark.parametrize("text", ["", "yesterday", None, 5])
def test_what_is_no_time_is_none(text: object) -> None:
    assert time_of(text) is None


@pytest.mark.parametrize(("subscriptions", "unread"), [(None, True), ({}, False)])
def test_consent_that_a_reply_does_not_show_is_unread(subscriptions: Any, unread: bool) -> None:
    consents = Consents(find_template("bulk_subscribe_profiles"))
    consents.add("email", ["a@x.com"], [("a@x.com", {"id": "1", "email": "a@x.com", "subscriptions": subscriptions})])
    assert consents.is_unread({"attributes": {"email": " A@x.com"}}) is unread
