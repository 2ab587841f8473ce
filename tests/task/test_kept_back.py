"""What a task leaves out: unreadable phones of likely columns, and hashes of passwords whatever their column's name."""

from __future__ import annotations

from typing import Any

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.task.running import run

ANN, BOB = "ann@example.com", "bob@example.com"
BCRYPT = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
ARGON = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b2dWRWJTmaasx8"


def test_an_unreadable_phone_of_a_likely_column_rejects_no_row_and_is_counted() -> None:
    rows = [{"email": ANN, "phone": "DNC 6175551234"}, {"email": BOB, "phone": "+16175551234"}]
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows).report
        numbers = {one["email"]: one.get("phone_number") for one in klaviyo.profiles}
    assert (report.rejected, numbers[ANN], numbers[BOB]) == (0, None, "+16175551234")
    assert report.warnings["phone_number is left out where it cannot be read (bad_phone)"] == 1


@pytest.mark.parametrize("options", [{}, {"fields": '{"phone_number":"phone"}'}])
def test_a_certain_or_named_phone_rejects_its_row(options: dict[str, Any]) -> None:
    name = "phone" if options else "phone_number"
    with KlaviyoSimulator() as klaviyo:
        assert run(klaviyo, [{"email": ANN, name: "DNC 6175551234"}], **options).codes == ["bad_phone"]


@pytest.mark.parametrize("validate", ["strict", "warn", "off"])
@pytest.mark.parametrize("text", [BCRYPT, ARGON])
def test_hashes_of_passwords_are_not_sent(text: str, validate: str) -> None:
    rows = [{"email": ANN, "login": text, "tier": "gold"}, {"email": BOB, "login": "bob", "tier": "$2 off"}]
    with KlaviyoSimulator() as klaviyo:
        report = run(klaviyo, rows, validate=validate).report
        sent = {one["email"]: one["properties"] for one in klaviyo.profiles}
    assert sent == {ANN: {"tier": "gold"}, BOB: {"login": "bob", "tier": "$2 off"}}
    assert report.warnings["'login' holds hashes of passwords, which are not sent"] == 1


def test_a_hash_is_sent_where_fields_names_its_column() -> None:
    with KlaviyoSimulator() as klaviyo:
        run(klaviyo, [{"email": ANN, "login": BCRYPT}], fields='{"properties.login":"login"}')
        assert klaviyo.profiles[0]["properties"] == {"login": BCRYPT}
