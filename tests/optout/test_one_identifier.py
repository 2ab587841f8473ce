"""Taking away keeps to one identifier: the email, else the external id, else the phone; never a second one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo.errors import SchemaError
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.task.running import Row, plan_for, run

LIST = "Lst1Aa"
ANN, BEN, PHONE = "ann@example.com", "ben@example.com", "+16175550100"
REMOVE, SUPPRESS, ERASE = "remove_profiles_from_list", "bulk_suppress_profiles", "request_profile_deletion"
OPTIONS: dict[str, dict[str, Any]] = {REMOVE: {"list_id": LIST}, SUPPRESS: {}, ERASE: {"confirm_deletion": "1"}}
UNKNOWN = "nobody@example.com"
INVISIBLE = ["\u200b", "\ufeff", "\u00ad", "\u0007", "\u2060", "\u3164"]


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        people = [
            {"email": ANN, "phone_number": PHONE, "external_id": "1"},
            {"email": BEN, "external_id": "2"},
            {"external_id": "3", "phone_number": "+16175550103"},
        ]
        simulator.add_profiles(people, LIST)
        yield simulator


def touched(klaviyo: KlaviyoSimulator) -> set[str]:
    """The external ids of those who are off the list, suppressed or erased."""
    members = {one["external_id"] for one in klaviyo.lists[LIST]}
    suppressed = {one["external_id"] for one in klaviyo.profiles if one["email"] in klaviyo.suppressed}
    return ({"1", "2", "3"} - members) | (suppressed - {None})  # a suppressed stranger is made by Klaviyo


@pytest.mark.parametrize("template", [REMOVE, SUPPRESS, ERASE])
def test_an_unknown_email_is_not_looked_for_by_the_phone_beside_it(klaviyo: KlaviyoSimulator, template: str) -> None:
    ran = run(
        klaviyo,
        [{"email": UNKNOWN, "phone_number": PHONE, "external_id": "1"}],
        template=template,
        **OPTIONS[template],
    )
    assert touched(klaviyo) == set()
    assert ran.whole().rows == 1
    if template == REMOVE:
        assert ran.codes == ["not_found"]
    elif template == ERASE:
        assert (ran.report.accepted, ran.report.delivered) == (1, 0)
        assert "nobody was erased" in next(iter(ran.report.accepted_because))


@pytest.mark.parametrize("template", [REMOVE, SUPPRESS, ERASE])
@pytest.mark.parametrize(
    ("row", "who"),
    [
        ({"email": BEN, "external_id": "1", "phone_number": PHONE}, "2"),
        ({"email": None, "external_id": "2", "phone_number": PHONE}, "2"),
        ({"email": " ", "external_id": None, "phone_number": PHONE}, "1"),
        ({"email": BEN, "external_id": None, "phone_number": "n/a"}, "2"),
    ],
)
def test_the_first_identifier_that_a_row_has_counts(
    klaviyo: KlaviyoSimulator, template: str, row: Row, who: str
) -> None:
    ran = run(klaviyo, [row], template=template, **OPTIONS[template])
    assert touched(klaviyo) == {who}
    assert ran.report.rejected == 0


@pytest.mark.parametrize("template", [SUPPRESS, ERASE, REMOVE])
def test_nobody_with_an_external_id_is_no_success(klaviyo: KlaviyoSimulator, template: str) -> None:
    ran = run(klaviyo, [{"external_id": "99"}], template=template, **OPTIONS[template])
    assert touched(klaviyo) == set()
    assert ran.report.delivered == 0
    assert ran.report.accepted == (template == ERASE)
    assert len(klaviyo.profiles) == 3


@pytest.mark.parametrize("template", [SUPPRESS, ERASE, REMOVE])
def test_a_phone_that_a_family_shares_means_nobody(klaviyo: KlaviyoSimulator, template: str) -> None:
    people = [{"email": email, "phone_number": PHONE} for email in (ANN, BEN)]
    family = [{"type": "profile", "id": str(number), "attributes": one} for number, one in enumerate(people)]
    klaviyo.inject(Fault("status", status=200, path="/api/profiles", body=json.dumps({"data": family})))
    ran = run(klaviyo, [{"phone_number": PHONE}], template=template, **OPTIONS[template])
    assert ran.codes == ["ambiguous_profile"]
    assert touched(klaviyo) == set()
    assert all(request.method == "GET" for request in klaviyo.requests)


def test_people_without_an_email_cannot_be_suppressed(klaviyo: KlaviyoSimulator) -> None:
    ran = run(klaviyo, [{"external_id": "3"}], template=SUPPRESS)
    assert ran.codes == ["not_found"]
    assert "no email" in ran.rejected[0].detail


@pytest.mark.parametrize("template", [REMOVE, ERASE])
def test_the_shops_own_id_is_not_klaviyos(klaviyo: KlaviyoSimulator, template: str) -> None:
    with pytest.raises(SchemaError, match="ids of your own"):
        plan_for(klaviyo, ["id", "email"], template=template, **OPTIONS[template])
    ran = run(klaviyo, [{"id": "4711", "email": BEN}], template=template, other_columns="drop", **OPTIONS[template])
    assert touched(klaviyo) == {"2"}
    assert ran.report.rejected == 0


@pytest.mark.parametrize("validate", ["strict", "warn", "off"])
@pytest.mark.parametrize("template", [REMOVE, SUPPRESS, ERASE, "bulk_unsubscribe_profiles"])
@pytest.mark.parametrize("character", INVISIBLE)
def test_an_email_with_invisible_characters_makes_no_phantom(
    klaviyo: KlaviyoSimulator, template: str, character: str, validate: str
) -> None:
    options = OPTIONS.get(template) or {"channels": "email", "everywhere": "true"}
    if template == SUPPRESS:
        options = {}
    for email in (f"ann{character}@example.com", f"{ANN}{character}"):
        before = [dict(one) for one in klaviyo.profiles]
        ran = run(klaviyo, [{"email": email}], template=template, validate=validate, **options)
        assert ran.codes == ["bad_email"]
        assert [dict(one) for one in klaviyo.profiles] == before


@pytest.mark.parametrize("validate", ["strict", "warn", "off"])
@pytest.mark.parametrize("template", [REMOVE, SUPPRESS, ERASE])
def test_an_identifier_that_cannot_be_read_takes_nobody_away(
    klaviyo: KlaviyoSimulator, template: str, validate: str
) -> None:
    rows: list[Row] = [{"email": "ann@example,com", "phone": None}, {"email": None, "phone": "DNC 617-555-0100"}]
    fields = {"phone_number": "phone"}
    ran = run(klaviyo, rows, template=template, validate=validate, fields=fields, **OPTIONS[template])
    assert ran.codes == ["bad_email", "bad_phone"]
    assert touched(klaviyo) == set()
    assert all(request.method == "GET" for request in klaviyo.requests)


def test_blanks_around_an_email_are_no_part_of_it(klaviyo: KlaviyoSimulator) -> None:
    run(klaviyo, [{"email": f"\u00a0{BEN} "}], template=ERASE, confirm_deletion="1")
    assert touched(klaviyo) == {"2"}


def test_equal_rows_of_a_request_all_go_out(klaviyo: KlaviyoSimulator) -> None:
    for template in (SUPPRESS, REMOVE):
        ran = run(klaviyo, [{"email": BEN}] * 3, template=template, **OPTIONS[template])
        assert (ran.report.delivered + ran.report.accepted, ran.report.skipped) == (3, 0)
