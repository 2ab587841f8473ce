"""Refusals are explained in Klaviyo's own words without a value of a row, and what they left out is named."""

from __future__ import annotations

import json

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.faults import Fault
from tests.task.running import Row, people, run

LEFT_OUT = "Klaviyo left out phone_number of some of these rows (X-Klaviyo-Partial-Failure)"
CONSENT = {"template": "bulk_subscribe_profiles", "channels": "email", "other_columns": "drop", "resubscribe": "true"}


def partial(status: int) -> Fault:
    body = '{"data": {"type": "profile", "id": "01ABC"}}'
    return Fault("status", status=status, body=body, headers={"X-Klaviyo-Partial-Failure": "phone_number"}, times=1)


def test_klaviyo_s_sentence_is_told_without_a_value(klaviyo: KlaviyoSimulator) -> None:
    detail = "The email ann@nowhere.example is not valid."
    klaviyo.inject(Fault("status", status=400, detail=detail, method="POST"))
    report = run(klaviyo, [{"email": "ann@nowhere.example"}]).whole()
    text = str(report)
    assert "is not valid" in text
    assert "nowhere" not in text + report.to_html()
    assert "is not valid" in report.to_html()
    assert text.startswith("1 of 1 row rejected with the code invalid")


def test_ids_that_are_not_klaviyo_s_are_explained(klaviyo: KlaviyoSimulator) -> None:
    pointer = "/data/attributes/profiles/data/0/id"
    klaviyo.inject(Fault("status", status=400, method="POST", pointer=pointer))
    text = str(run(klaviyo, [{"email": "ann@example.com", "id": "42"}]).whole())
    assert 'fields={"external_id": COLUMN}' in text


@pytest.mark.parametrize(("template", "status"), [("create_or_update_profile", 200), ("bulk_subscribe_profiles", 202)])
def test_what_klaviyo_left_out_is_told(klaviyo: KlaviyoSimulator, template: str, status: int) -> None:
    klaviyo.inject(partial(status))
    options = CONSENT if template == "bulk_subscribe_profiles" else {"template": template}
    ran = run(klaviyo, people(1), **options)  # type: ignore[arg-type]
    assert ran.report.accepted_because == {LEFT_OUT: 1}
    assert ran.report.warnings[LEFT_OUT] == 1
    assert ran.receipts[0].detail == f"{LEFT_OUT}: row 0"


def test_people_whom_klaviyo_names_beside_the_row_are_not_told_either(klaviyo: KlaviyoSimulator) -> None:
    detail = "The phone belongs to bob@elsewhere.example and 'Bob Stone' already."
    klaviyo.inject(Fault("status", status=400, detail=detail, method="POST"))
    report = run(klaviyo, [{"email": "ann@nowhere.example"}]).whole()
    text = str(report) + report.to_html() + str(report.to_dict())
    assert "The phone belongs to" in text
    assert "elsewhere" not in text
    assert "Stone" not in text


@pytest.mark.parametrize("validate", ["strict", "warn"])
def test_a_key_that_no_field_has_is_not_told(klaviyo: KlaviyoSimulator, validate: str) -> None:
    record = {"type": "profile", "attributes": {"email": "ann@example.com", "bob@nowhere.example": 1}}
    rows: list[Row] = [{"record": json.dumps(record)}]
    ran = run(klaviyo, rows, record_column="record", validate=validate)
    report = ran.whole()
    assert "no such field" in str(report) or validate == "warn"
    assert "nowhere" not in str(report) + report.to_html() + str(report.to_dict())
    assert "nowhere" in ran.rejected[0].pointer
