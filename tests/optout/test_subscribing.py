"""Subscribing brings nobody back silently, and refuses rows that say the opposite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest

from spark_klaviyo.account.target import resolve
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.options.choices import OnReject
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.runs.results import judge_run, return_or_raise
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.task.lookups import Lookups
from spark_klaviyo.task.run import SendContextFactory
from tests.optout.people import consents, reads, suppressions, writes
from tests.plan.planning import fields, struct
from tests.task.running import KEY, Ran, Row, options_for, plan_for, run, run_plan

LIST, OTHER = "Y6nRLr", "Lst1Aa"
ANN, BEN, CYD = "ann@example.com", "ben@example.com", "cyd@example.com"
PHONE = "+16175550100"
EMAIL = "email.marketing"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        simulator.add_profiles(
            [
                {"email": ANN, "phone_number": PHONE, "external_id": "1"},
                {"email": BEN, "phone_number": "+16175550101"},
                {"email": CYD},
            ]
        )
        yield simulator


def subscribe(klaviyo: KlaviyoSimulator, rows: list[Row], **options: Any) -> Ran:
    given: dict[str, Any] = {"channels": "email", "list_id": LIST, **options}
    return run(klaviyo, rows, template="bulk_subscribe_profiles", **given)


def time(year: int) -> float:
    return datetime(year, 6, 1, tzinfo=timezone.utc).timestamp()


# --- who has opted out ----------------------------------------------------------------------------


def leave(klaviyo: KlaviyoSimulator, how: str) -> None:
    if how == "unsubscribed":
        klaviyo.set_consent(ANN, "email", "UNSUBSCRIBED")
    elif how == "of this list":
        klaviyo.suppress(ANN, "UNSUBSCRIBE", LIST)
    else:
        klaviyo.suppress(ANN, how)


@pytest.mark.parametrize("how", ["unsubscribed", "UNSUBSCRIBE", "SPAM_COMPLAINT", "USER_SUPPRESSED", "of this list"])
def test_who_has_opted_out_is_rejected_and_stays_away(klaviyo: KlaviyoSimulator, how: str) -> None:
    leave(klaviyo, how)
    before = consents(klaviyo), suppressions(klaviyo)
    ran = subscribe(klaviyo, [{"email": "Ann@Example.com "}, {"email": CYD}])
    assert ran.codes == ["opted_out"]
    assert (ran.report.accepted, ran.report.rejected) == (1, 1)
    assert [times for text, times in ran.report.warnings.items() if "resubscribe" in text] == [1]
    assert consents(klaviyo) == before[0] | {(CYD, EMAIL): "SUBSCRIBED"}
    assert suppressions(klaviyo) == before[1] | {CYD: set()}
    assert [one["email"] for one in klaviyo.lists[LIST]] == [CYD]


@pytest.mark.parametrize("reason", ["HARD_BOUNCE", "INVALID_EMAIL"])
def test_a_bounce_is_no_opting_out(klaviyo: KlaviyoSimulator, reason: str) -> None:
    klaviyo.suppress(ANN, reason)
    klaviyo.suppress(BEN, "UNSUBSCRIBE", OTHER)
    ran = subscribe(klaviyo, [{"email": ANN}, {"email": BEN}])
    assert (ran.report.accepted, ran.report.rejected) == (2, 0)


def test_a_channel_is_judged_on_its_own(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "sms", "UNSUBSCRIBED")
    rows: list[Row] = [
        {"email": ANN, "phone": PHONE, "words": "email"},
        {"email": BEN, "phone": "+16175550101", "words": "email, sms"},
        {"email": ANN, "phone": PHONE, "words": "sms email"},
    ]
    ran = subscribe(klaviyo, rows, channels="column:words", fields={"phone_number": "phone"})
    assert ran.codes == ["opted_out"]
    assert "(sms)" in ran.rejected[0].detail
    assert consents(klaviyo)[ANN, "sms.marketing"] == "UNSUBSCRIBED"
    assert consents(klaviyo)[ANN, EMAIL] == consents(klaviyo)[BEN, "sms.marketing"] == "SUBSCRIBED"


@pytest.mark.parametrize("channel", ["sms", "sms.transactional", "whatsapp"])
def test_phones_find_people_too(klaviyo: KlaviyoSimulator, channel: str) -> None:
    klaviyo.set_consent(PHONE, channel, "UNSUBSCRIBED")
    ran = subscribe(klaviyo, [{"phone_number": "(617) 555-0100"}], channels=channel, default_country="US")
    assert ran.codes == ["opted_out"]


def test_a_profile_is_found_by_an_email_that_it_does_not_show(klaviyo: KlaviyoSimulator) -> None:
    """Accounts may have several emails a profile (spec: patch_identifiers)."""
    people = klaviyo.account.profiles.by_email
    people["ann@work.example"] = people[ANN]
    klaviyo.set_consent(ANN, "email", "UNSUBSCRIBED")
    ran = subscribe(klaviyo, [{"email": "Ann@work.example"}, {"email": BEN}, {"email": CYD}])
    assert (ran.codes, ran.report.accepted) == (["opted_out"], 2)
    assert consents(klaviyo)[ANN, EMAIL] == "UNSUBSCRIBED"


def test_tracking_of_opens_does_not_bring_email_back(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "email", "UNSUBSCRIBED")
    assert subscribe(klaviyo, [{"email": ANN}], channels="email.open_tracking").codes == ["opted_out"]


def test_the_person_that_the_row_means_counts_besides_the_one_that_the_phone_finds(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "sms", "UNSUBSCRIBED")
    rows: list[Row] = [{"email": ANN, "phone_number": "+16175550199"}]
    ran = subscribe(klaviyo, rows, channels="email,sms")
    assert ran.codes == ["opted_out"]


def test_push_goes_to_whom_the_identifier_of_another_channel_finds(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "push", "UNSUBSCRIBED")
    before = consents(klaviyo)
    rows: list[Row] = [{"email": BEN, "phone_number": PHONE}]  # sent with the phone alone, which is Ann's
    assert subscribe(klaviyo, rows, channels="sms,push").codes == ["opted_out"]
    assert consents(klaviyo) == before


def test_rows_of_people_who_opted_out_are_no_fault(klaviyo: KlaviyoSimulator) -> None:
    leave(klaviyo, "unsubscribed")
    ran = subscribe(klaviyo, [{"email": ANN}, {"email": CYD}], max_rejects="0")
    assert ran.report.stopped is None
    plan = plan_for(klaviyo, ["email"], template="bulk_subscribe_profiles", channels="email", max_rejects="0")
    total = judge_run(ran.report, plan)
    assert total.stopped is None
    assert return_or_raise(WriteReport("run", "t", **vars(total)), OnReject.FAIL).rejected == 1


# --- signing up again -----------------------------------------------------------------------------


def test_resubscribe_brings_back_and_reads_nothing(klaviyo: KlaviyoSimulator) -> None:
    leave(klaviyo, "unsubscribed")
    ran = subscribe(klaviyo, [{"email": ANN}], resubscribe="true")
    assert (ran.report.accepted, reads(klaviyo)) == (1, 0)
    assert consents(klaviyo)[ANN, EMAIL] == "SUBSCRIBED"
    assert "resubscribe" not in "".join(writes(klaviyo))


def test_resubscribe_is_said_row_by_row(klaviyo: KlaviyoSimulator) -> None:
    for person in (ANN, BEN):
        klaviyo.set_consent(person, "email", "UNSUBSCRIBED")
    rows: list[Row] = [
        {"email": ANN, "again": "TRUE"},
        {"email": BEN, "again": "false"},
        {"email": CYD, "again": None},
        {"email": "dee@example.com", "again": "yes"},
    ]
    ran = subscribe(klaviyo, rows, resubscribe="column:again")
    assert ran.codes == ["opted_out"]
    assert consents(klaviyo)[ANN, EMAIL] == "SUBSCRIBED"
    assert consents(klaviyo)[BEN, EMAIL] == "UNSUBSCRIBED"
    bodies = writes(klaviyo)
    assert len(bodies) == 2
    assert [ANN in body for body in bodies].count(True) == 1
    assert not any(ANN in body and CYD in body for body in bodies)
    asked = [request.query["filter"] for request in klaviyo.requests if request.method == "GET"]
    assert not any(ANN in text for text in asked)


# --- what reading costs ---------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [1, 7])
def test_a_hundred_people_take_one_read_however_small_requests_are(klaviyo: KlaviyoSimulator, lists: int) -> None:
    rows: list[Row] = [{"email": f"p{n}@example.com", "list": [LIST, OTHER][n % 2]} for n in range(2_050)]
    ran = subscribe(klaviyo, rows, list_id="column:list", max_rows=3 * lists)
    assert ran.report.accepted == 2_050
    assert reads(klaviyo) <= 22  # two gatherings of about 1,000 rows, and the rest


@pytest.mark.parametrize(
    ("template", "options"),
    [
        ("bulk_import_profiles", {}),
        ("add_profiles_to_list", {"list_id": LIST}),
        ("create_or_update_profile", {}),
        ("bulk_create_events", {"metric": "Order", "event_time": "now"}),
        ("create_event", {"metric": "Order", "event_time": "now"}),
    ],
)
def test_imports_and_events_are_not_looked_at(
    klaviyo: KlaviyoSimulator, template: str, options: dict[str, Any]
) -> None:
    plan, batches = plan_for(klaviyo, ["email"], template=template, **options), iter(())
    with SendContextFactory().open(plan, 0, 0) as context:
        assert Lookups(plan, context, lambda _: None, TaskReport()).checked(batches) is batches
    assert plan.params == ()


def test_the_report_tells_the_reads_and_their_time(klaviyo: KlaviyoSimulator) -> None:
    ran = subscribe(klaviyo, [{"email": f"p{n}@example.com"} for n in range(250)])
    assert (ran.report.consent_reads, reads(klaviyo)) == (3, 3)
    report = ran.whole()
    assert "who has opted out was read in 3 requests (" in str(report)
    assert report.to_dict()["consent_reads"] == 3
    assert run(klaviyo, [{"email": ANN}]).report.consent_reads == 0


def test_a_read_that_is_refused_is_made_again_in_halves(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "email", "UNSUBSCRIBED")
    klaviyo.inject(Fault("status", status=400, path="/api/profiles", times=1))
    ran = subscribe(klaviyo, [{"email": ANN}, {"email": BEN}, {"email": CYD}])
    assert (ran.codes, ran.report.accepted, reads(klaviyo)) == (["opted_out"], 2, 3)


def test_rows_whose_consent_cannot_be_read_are_rejected(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("status", status=500, path="/api/profiles"))
    ran = subscribe(klaviyo, [{"email": ANN}])
    assert ran.codes == ["unavailable"]
    assert writes(klaviyo) == []


def test_a_key_that_may_not_read_stops_the_task(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.inject(Fault("status", status=403, path="/api/profiles"))
    ran = subscribe(klaviyo, [{"email": ANN}] * 2)
    assert ran.report.stopped is not None
    assert "profiles:read" in ran.report.stopped[1]
    assert writes(klaviyo) == []
    assert ran.whole().unsent + ran.report.skipped == 2


def test_the_scope_is_asked_for_before_anything_is_sent() -> None:
    scopes = ["lists:write", "profiles:write", "subscriptions:write"]
    with KlaviyoSimulator(api_keys={KEY: scopes}) as klaviyo:
        options = options_for(klaviyo, template="bulk_subscribe_profiles", channels="email", list_id=LIST)
        with pytest.raises(OptionError, match="profiles:read"):
            resolve(options)
        assert resolve(options_for(klaviyo, template="bulk_subscribe_profiles", channels="email", resubscribe="true"))
        assert resolve(options_for(klaviyo))
        assert writes(klaviyo) == []
    with KlaviyoSimulator(api_keys={KEY: [*scopes, "profiles:read"]}) as klaviyo:
        options = options_for(klaviyo, template="bulk_subscribe_profiles", channels="email", list_id=LIST)
        assert resolve(options) == resolve(options)
        assert reads(klaviyo) == 1


# --- consent that was given before ----------------------------------------------------------------


def earlier(klaviyo: KlaviyoSimulator, when: str, **options: Any) -> Ran:
    rows: list[Row] = [{"email": ANN, "consented_at": when}]
    return subscribe(klaviyo, rows, historical_import="true", **options)


@pytest.mark.parametrize("how", ["unsubscribed", "USER_SUPPRESSED", "of this list"])
def test_an_opt_out_newer_than_the_consent_stands(klaviyo: KlaviyoSimulator, how: str) -> None:
    leave(klaviyo, how)
    assert earlier(klaviyo, "2020-01-01T00:00:00Z").codes == ["opted_out"]
    assert writes(klaviyo) == []


def test_consent_newer_than_an_opt_out_is_recorded(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "email", "UNSUBSCRIBED", time(2020))
    assert earlier(klaviyo, "2021-01-01T00:00:00Z").report.accepted == 1
    assert consents(klaviyo)[ANN, EMAIL] == "SUBSCRIBED"


def test_a_subscription_that_stands_is_delivered_and_not_sent(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "email", "SUBSCRIBED", time(2020))
    ran = earlier(klaviyo, "2021-01-01T00:00:00Z", list_id=None)
    assert (ran.report.delivered, writes(klaviyo)) == (1, [])
    ran.whole()


def test_a_subscription_that_stands_still_joins_the_list(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "email", "SUBSCRIBED", time(2020))
    ran = earlier(klaviyo, "2021-01-01T00:00:00Z")
    assert (ran.report.accepted, ran.report.rejected) == (1, 0)
    assert [one["email"] for one in klaviyo.lists[LIST]] == [ANN]
    since = klaviyo.profiles[0]["subscriptions"]["email"]["marketing"]["consent_timestamp"]
    assert since.startswith("2020-06-01")
    again = earlier(klaviyo, "2021-01-01T00:00:00Z")
    assert (again.report.delivered, len(writes(klaviyo))) == (1, 1)


@pytest.mark.parametrize("validate", ["strict", "warn", "off"])
@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1999-12-31", "2999-01-01"])
def test_times_that_no_consent_was_given_at_are_refused(klaviyo: KlaviyoSimulator, when: str, validate: str) -> None:
    ran = earlier(klaviyo, when, validate=validate)
    assert ran.codes == ["bad_time"]
    assert writes(klaviyo) == []


# --- rows that say the opposite -------------------------------------------------------------------

OPPOSITES = [
    ("accepts_marketing", "false"),
    ("Accepts Email Marketing", "no"),
    ("email_marketing_consent", "NEVER_SUBSCRIBED"),
    ("unsubscribed_at", "2024-05-01"),
    ("Unsubscribed", "1"),
    ("has_opted_out_of_email", "true"),
    ("DoNotEmail", "True"),
    ("opted_in", "0"),
    ("suppressed", "yes"),
    ("status", "unsubscribed"),
    ("Email Status", "cleaned"),
    ("accepts_marketing", "нет"),
    ("unsubscribed", "да"),
    ("Opted In", "\u2717"),
]


@pytest.mark.parametrize("validate", ["strict", "off"])
@pytest.mark.parametrize(("column", "value"), OPPOSITES)
def test_a_row_that_says_the_opposite_subscribes_nobody(
    klaviyo: KlaviyoSimulator, column: str, value: str, validate: str
) -> None:
    rows: list[Row] = [{"email": ANN, column: value}, {"email": CYD, column: None}]
    ran = subscribe(klaviyo, rows, validate=validate, other_columns="drop")
    assert ran.codes == ["no_consent"]
    assert repr(column) in ran.rejected[0].detail
    assert (ANN, EMAIL) not in consents(klaviyo)
    assert consents(klaviyo)[CYD, EMAIL] == "SUBSCRIBED"


def test_a_struct_may_say_the_opposite_too(klaviyo: KlaviyoSimulator) -> None:
    kinds = struct(mail="string", optin="boolean")
    contacts = [{"mail": ANN, "optin": False}, {"mail": BEN, "optin": None}, {"mail": CYD, "optin": True}]
    given: dict[str, Any] = {"template": "bulk_subscribe_profiles", "channels": "email", "list_id": LIST}
    options = options_for(klaviyo, **given, fields={"email": "contact.mail"})
    batch = pa.RecordBatch.from_pylist([{"contact": one} for one in contacts])
    ran = run_plan(make_plan(options, fields(contact=kinds), "run"), [batch])
    assert (ran.codes, "'contact.optin'" in ran.rejected[0].detail) == (["no_consent"], True)
    assert consents(klaviyo) == {(BEN, EMAIL): "SUBSCRIBED", (CYD, EMAIL): "SUBSCRIBED"}
    with pytest.raises(SchemaError, match="'contact' has no place"):
        make_plan(options_for(klaviyo, **given), fields(email="string", contact=kinds), "run")


def test_a_field_of_a_struct_counts_beside_a_column_of_its_name_that_an_option_names(klaviyo: KlaviyoSimulator) -> None:
    given: dict[str, Any] = {"template": "bulk_subscribe_profiles", "channels": "email", "list_id": LIST}
    options = options_for(klaviyo, **given, resubscribe="column:optin", fields={"email": "contact.mail"})
    columns = fields(optin="boolean", contact=struct(mail="string", optin="boolean"))
    said = ((ANN, False), (CYD, True))
    rows = [{"optin": True, "contact": {"mail": email, "optin": yes}} for email, yes in said]
    ran = run_plan(make_plan(options, columns, "run"), [pa.RecordBatch.from_pylist(rows)])
    assert ran.codes == ["no_consent"]
    assert consents(klaviyo) == {(CYD, EMAIL): "SUBSCRIBED"}


def test_the_record_of_a_row_without_consent_subscribes_nobody_when_it_is_written_again(
    klaviyo: KlaviyoSimulator,
) -> None:
    rows: list[Row] = [{"email": ANN, "accepts_marketing": "no"}, {"email": ANN, "opted_out": "1", "words": "email"}]
    for row in rows:
        channels = "column:words" if "words" in row else "email"
        [rejected] = subscribe(klaviyo, [row], channels=channels).rejected
        ran = subscribe(klaviyo, [{"record": rejected.record}], record_column="record", channels=None)
        assert (rejected.email, ran.report.rejected) == (ANN, 1)
    assert consents(klaviyo) == {}


def test_a_column_that_says_yes_is_no_hindrance(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": ANN, "accepts_marketing": "TRUE", "sms_consent": "no", "unsubscribed": "false"}]
    assert subscribe(klaviyo, rows).report.accepted == 1
    assert "accepts" not in writes(klaviyo)[0]


def test_who_left_and_signed_up_again_may_say_both(klaviyo: KlaviyoSimulator) -> None:
    rows: list[Row] = [{"email": ANN, "unsubscribed_at": "2024-05-01"}]
    assert subscribe(klaviyo, rows, resubscribe="true").report.accepted == 1


@pytest.mark.parametrize("column", ["unsubscribe_url", "unsub_reason", "opt_in_ip", "first_name"])
def test_other_columns_have_no_place(klaviyo: KlaviyoSimulator, column: str) -> None:
    with pytest.raises(SchemaError, match="has no place"):
        plan_for(klaviyo, ["email", column], template="bulk_subscribe_profiles", channels="email")


@pytest.mark.parametrize("validate", ["strict", "warn", "off"])
@pytest.mark.parametrize("words", ["email,none", "none", "emial", None])
def test_words_that_are_no_channels_subscribe_nobody(
    klaviyo: KlaviyoSimulator, words: str | None, validate: str
) -> None:
    ran = subscribe(klaviyo, [{"email": ANN, "words": words}], channels="column:words", validate=validate)
    assert ran.report.rejected == 1
    assert writes(klaviyo) == []


@pytest.mark.parametrize("validate", ["strict", "warn", "off"])
@pytest.mark.parametrize("phone", ["DNC 617-555-0100", "617-555-0100", "OPTOUT16175550100"])
def test_a_phone_that_cannot_be_read_is_never_sent(klaviyo: KlaviyoSimulator, phone: str, validate: str) -> None:
    ran = subscribe(klaviyo, [{"phone_number": phone}], channels="sms", validate=validate)
    assert ran.codes == ["bad_phone"]
    assert writes(klaviyo) == []


@pytest.mark.parametrize("channels", ["email", "column:words"])
def test_only_the_identifiers_that_channels_need_are_sent(klaviyo: KlaviyoSimulator, channels: str) -> None:
    rows: list[Row] = [{"email": "dee@example.com", "phone_number": "not a phone", "words": "email"}]
    if channels == "email":
        rows[0].pop("words")
    ran = subscribe(klaviyo, rows, channels=channels)
    assert (ran.report.accepted, ran.codes) == (1, [])
    assert "phone" not in writes(klaviyo)[0]


def test_a_report_without_rows_adds_up() -> None:
    assert TaskReport().faults == 0


def test_who_is_meant_by_an_identifier_that_is_not_sent_counts(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "email", "UNSUBSCRIBED")
    rows: list[Row] = [
        {"email": "ann.new@example.com", "phone_number": "(617) 555-0100"},
        {"email": "dee@example.com", "phone_number": "+16175550101"},
        {"email": CYD, "phone_number": PHONE},
    ]
    ran = subscribe(klaviyo, rows, default_country="US")
    assert ran.codes == ["opted_out"]
    assert ran.rejected[0].row == 0
    assert ran.report.accepted == 2
    assert "phone" not in "".join(writes(klaviyo))


def test_ready_made_records_are_judged_as_well(klaviyo: KlaviyoSimulator) -> None:
    klaviyo.set_consent(ANN, "email", "UNSUBSCRIBED")
    wanted = {"email": {"marketing": {"consent": "SUBSCRIBED"}}}
    people: list[dict[str, object]] = [{"email": ANN}, {"email": CYD, "phone_number": "+16175550109"}]
    records = [{"type": "profile", "attributes": {**person, "subscriptions": wanted}} for person in people]
    rows: list[Row] = [{"record": json.dumps(record)} for record in records]
    ran = run(klaviyo, rows, template="bulk_subscribe_profiles", record_column="record", list_id=LIST)
    assert (ran.codes, ran.report.accepted) == (["opted_out"], 1)
    assert "phone" not in writes(klaviyo)[0]
    assert consents(klaviyo) == {(ANN, EMAIL): "UNSUBSCRIBED", (CYD, EMAIL): "SUBSCRIBED"}


@pytest.mark.parametrize("validate", ["strict", "off"])
@pytest.mark.parametrize("email", [{}, None, {"marketing": "SUBSCRIBED"}, {"telepathy": {"consent": "SUBSCRIBED"}}])
def test_a_ready_made_record_needs_channels_whose_consent_can_be_read(
    klaviyo: KlaviyoSimulator, email: object, validate: str
) -> None:
    record = {"type": "profile", "attributes": {"email": ANN, "subscriptions": {"email": email}}}
    rows: list[Row] = [{"record": json.dumps(record)}]
    options: dict[str, Any] = {"record_column": "record", "validate": validate}
    for call in (
        {"template": "bulk_subscribe_profiles"},
        {"template": "bulk_unsubscribe_profiles", "everywhere": True},
    ):
        ran = run(klaviyo, rows, **options, **call)
        assert ran.codes in (["missing_field"], ["bad_value"])
    assert klaviyo.requests == []


@pytest.mark.parametrize("validate", ["strict", "off"])
@pytest.mark.parametrize(("kind", "form"), [("timestamp", pa.timestamp("us", "UTC")), ("date", pa.date32())])
def test_times_of_any_type_are_looked_at(
    klaviyo: KlaviyoSimulator, kind: str, form: pa.DataType, validate: str
) -> None:
    options = options_for(
        klaviyo, template="bulk_subscribe_profiles", channels="email", historical_import="true", validate=validate
    )
    plan = make_plan(options, [Field("email", read_type("string")), Field("consented_at", read_type(kind))], "run")
    years = [datetime(year, 1, 1, tzinfo=timezone.utc) for year in (1, 1970, 1999, 2020, 2999)]
    times = pa.array([year.date() if kind == "date" else year for year in years], form)
    emails = [f"p{year.year}@example.com" for year in years]
    ran = run_plan(plan, [pa.record_batch({"email": emails, "consented_at": times})])
    assert (ran.codes, ran.report.accepted) == (["bad_time"] * 4, 1)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/profile-subscription-bulk-create-jobs", "subscribe them again"),
        ("/api/v2/list/Y6nRLr/subscribe", "subscribe them again"),
        ("/api/profile-subscription-bulk-delete-jobs", "from everything"),
        ("/api/profile-import", ""),
    ],
)
def test_a_url_without_the_checks_of_its_template_says_so(klaviyo: KlaviyoSimulator, path: str, word: str) -> None:
    warnings = plan_for(klaviyo, ["email"], template=None, url=klaviyo.url + path).warnings
    assert [word in text for text in warnings] == [True] * bool(word)


def test_the_retired_call_says_that_it_reads_no_consent(klaviyo: KlaviyoSimulator) -> None:
    plan = plan_for(klaviyo, ["email"], template="bulk_subscribe_profiles", api="v2", list_id=LIST)
    assert ["opted out" in text for text in plan.warnings] == [True]
