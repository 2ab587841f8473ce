"""One row of a person says no to being subscribed, another does not: the no counts for both."""

from __future__ import annotations

from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.task.denied import OTHER_ROW
from tests.optout.people import consents
from tests.task.running import Ran, Row, run

ANN, BOB = "ann@example.com", "bob@example.com"
PHONE, OTHER = "+16175551234", "+16175559999"
SAYS_NO = {"accepts_marketing": "no"}


def subscribe(rows: list[Row], **options: Any) -> tuple[Ran, set[str]]:
    """Subscribe one row a request, and who is subscribed to something then."""
    names = dict.fromkeys(name for row in rows for name in row)
    rows = [{name: row.get(name) for name in names} for row in rows]
    chosen = {"template": "bulk_subscribe_profiles", "channels": "email", "list_id": "Y6nRLr", "max_rows": 1, **options}
    with KlaviyoSimulator() as klaviyo:
        ran = run(klaviyo, rows, encoded_rows=1, **chosen)
        ran.whole()
        return ran, {name for (name, _), consent in consents(klaviyo).items() if consent == "SUBSCRIBED"}


@pytest.mark.parametrize("validate", ["strict", "off"])
@pytest.mark.parametrize(
    ("no", "other", "channels"),
    [
        ({"email": f" {ANN.upper()}"}, {"email": ANN}, "email"),
        ({"email": ANN, "phone_number": PHONE}, {"email": ANN, "phone_number": OTHER}, "sms"),
        ({"email": ANN, "phone_number": "(617) 555-1234"}, {"email": BOB, "phone_number": PHONE}, "sms"),
        ({"phone_number": PHONE}, {"email": BOB, "phone_number": PHONE}, "email"),
        ({"email": ANN, "phone_number": PHONE}, {"phone_number": PHONE}, "sms"),
    ],
)
def test_a_row_that_says_no_counts_for_every_row_of_its_person(
    no: Row, other: Row, channels: str, validate: str
) -> None:
    options = {"channels": channels, "default_country": "US", "validate": validate}
    for rows in ([{**no, **SAYS_NO}, other], [other, {**no, **SAYS_NO}]):
        ran, subscribed = subscribe(rows, **options)
        assert (ran.codes, ran.report.requests, subscribed) == (["no_consent"] * 2, 0, set())
        assert OTHER_ROW in {one.detail for one in ran.rejected}


def test_people_who_share_a_phone_answer_for_themselves() -> None:
    rows: list[Row] = [{"email": ANN, "phone_number": PHONE, **SAYS_NO}, {"email": BOB, "phone_number": PHONE}]
    ran, subscribed = subscribe(rows)
    assert (ran.codes, subscribed) == (["no_consent"], {BOB})


@pytest.mark.parametrize("no", ["sms_consent", "sms_opt_in"])
def test_a_no_to_text_messages_is_none_to_emails(no: str) -> None:
    person: Row = {"email": ANN, "phone_number": PHONE}
    rows: list[Row] = [{**person, "words": "email", no: "no"}, {**person, "words": "sms"}, {**person, "words": "email"}]
    ran, subscribed = subscribe(rows, channels="column:words")
    assert [(one.code, one.row) for one in ran.rejected] == [("no_consent", 1)]
    assert (ran.report.accepted, subscribed) == (2, {ANN})


@pytest.mark.parametrize(("column", "codes"), [("unsubscribed", ["no_consent"]), ("opted_in", ["no_consent"] * 2)])
def test_who_has_left_and_signed_up_again_in_another_row_is_subscribed(column: str, codes: list[str]) -> None:
    value = "yes" if column == "unsubscribed" else "no"
    ran, _ = subscribe([{"email": ANN, "again": "true"}, {"email": ANN, column: value}], resubscribe="column:again")
    assert ran.codes == codes


def test_the_record_of_the_other_row_subscribes_nobody_when_it_is_written_again() -> None:
    ran, _ = subscribe([{"email": ANN}, {"email": ANN, **SAYS_NO}])
    rows: list[Row] = [{"record": one.record} for one in ran.rejected]
    again, subscribed = subscribe(rows, record_column="record", channels=None)
    assert (len(again.rejected), subscribed) == (2, set())


def test_rows_are_read_to_their_end_before_the_first_is_sent_and_all_of_them_arrive() -> None:
    rows: list[Row] = [{"email": f"p{n}@example.com", "opted_in": "no" if n == 0 else "yes"} for n in range(40)]
    ran, subscribed = subscribe([*rows, {"email": "p0@example.com"}])
    assert (ran.report.rows, ran.report.accepted, ran.report.rejected) == (41, 39, 2)
    assert len(subscribed) == 39
