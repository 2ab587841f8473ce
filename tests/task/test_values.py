"""What becomes of values: Klaviyo's stand-in holds what the table of values in the README says."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest

from spark_klaviyo.encode.rows import to_arrow
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.task.running import Ran, options_for, run_plan

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TYPES = {
    "string": pa.string(),
    "double": pa.float64(),
    "long": pa.int64(),
    "decimal(38,0)": pa.decimal128(38, 0),
    "decimal(20,2)": pa.decimal128(20, 2),
    "timestamp": pa.timestamp("us", "America/New_York"),
    "timestamp_ntz": pa.timestamp("us"),
}


def send(klaviyo: KlaviyoSimulator, columns: dict[str, tuple[str, list[object]]], **options: object) -> Ran:
    """Send columns (type of Spark's, values) as one task would."""
    fields = [Field(name, read_type(kind)) for name, (kind, _) in columns.items()]
    plan = make_plan(options_for(klaviyo, **options), fields, "run")
    arrays = [pa.array(values, TYPES[kind]) for kind, values in columns.values()]
    return run_plan(plan, [pa.RecordBatch.from_arrays(arrays, names=list(columns))])


def send_events(klaviyo: KlaviyoSimulator, kind: str, times: list[object], **options: object) -> Ran:
    emails = [f"p{n}@example.com" for n in range(len(times))]
    columns = {"email": ("string", list[object](emails)), "time": (kind, times)}
    return send(klaviyo, columns, **{"template": "bulk_create_events", "metric": "Ordered", **options})


def held(klaviyo: KlaviyoSimulator, name: str) -> set[object]:
    return {profile.get(name) for profile in klaviyo.profiles}


DECORATED = [" ann@example.com", "'bob@example.com ", "mailto:cid@example.com", "\u00a0Mailto: dee@example.com   "]


def test_decorated_identifiers_are_taken_bare(klaviyo: KlaviyoSimulator) -> None:
    ids = ["1 ", "'007", "A1   ", "x"]
    ran = send(klaviyo, {"email": ("string", list(DECORATED)), "external_id": ("string", list(ids))})
    assert ran.report.delivered == 4
    assert held(klaviyo, "email") == {f"{name}@example.com" for name in ("ann", "bob", "cid", "dee")}
    assert held(klaviyo, "external_id") == {"1", "007", "A1", "x"}


@pytest.mark.parametrize("nothing", ["null", "None", "NaN", "N/A", "-", "\\N", "undefined", " ", "' null "])
def test_a_word_for_nothing_is_no_identifier(klaviyo: KlaviyoSimulator, nothing: str) -> None:
    both = send(klaviyo, {"email": ("string", ["a@b.co", nothing]), "external_id": ("string", [nothing, nothing])})
    assert (both.report.delivered, both.codes) == (1, ["no_identifier"])
    assert held(klaviyo, "external_id") == {None}


def test_whole_numbers_in_text_fields_lose_their_fraction(klaviyo: KlaviyoSimulator) -> None:
    emails = ("string", list[object](["a@b.co", "b@b.co", "c@b.co", "d@b.co"]))
    ids = ("double", list[object]([1234567.0, float("nan"), 2.5, 2.0**53]))
    zips = ("decimal(20,2)", list[object]([Decimal("2134.00"), None, None, None]))
    ran = send(klaviyo, {"email": emails, "external_id": ids, "zip": zips})
    assert ran.codes == ["bad_value", "bad_value"]
    assert held(klaviyo, "external_id") == {"1234567", None}
    assert {profile["location"].get("zip") for profile in klaviyo.profiles} == {"2134", None}
    assert ran.report.warnings == {"column 'external_id': NaN was sent as null": 1}


def test_nan_is_null_and_infinities_reject(klaviyo: KlaviyoSimulator) -> None:
    spend = ("double", list[object]([1.5, float("nan"), float("inf")]))
    ran = send(klaviyo, {"email": ("string", ["a@b.co", "b@b.co", "c@b.co"]), "spend": spend})
    assert ran.codes == ["not_finite"]
    assert ran.report.warnings == {"column 'spend': NaN was sent as null": 1}
    assert [profile["properties"] for profile in klaviyo.profiles] == [{"spend": 1.5}, {}]


def test_text_that_was_no_valid_text_is_rejected_in_identifiers_and_counted_elsewhere(
    klaviyo: KlaviyoSimulator,
) -> None:
    ids, names = ["Jos\ufffd", "b", "c"], ["x", "Jos\ufffd", "Jos\ufffd"]
    ran = send(klaviyo, {"external_id": ("string", list(ids)), "first_name": ("string", list(names))})
    assert ran.codes == ["bad_value"]
    assert list(ran.report.warnings.values()) == [2]
    assert ran.report.delivered == 2


TIMES = {
    "2026-03-04T05:06:07Z": "05:06:07",
    "2026-03-04T05:06:07+01:00": "04:06:07",
    "2026-03-04 05:06:07": "04:06:07",
    "2026-03-04 05:06": "04:06:00",
    "2026-03-04T05:06:07.123": "04:06:07",
    "2026-03-04 05:06:07Z": "05:06:07",
    "2026-03-04 05:06:07+0100": "04:06:07",
}


@pytest.mark.parametrize("zone", ["Europe/Berlin"])
def test_texts_are_times_of_their_offset_or_of_the_zone(klaviyo: KlaviyoSimulator, zone: str) -> None:
    ran = send_events(klaviyo, "string", [*TIMES, "2026-03-04"], time_zone=zone)
    assert ran.codes == []
    moments = [str(event["time"]).replace(" ", "T") for event in klaviyo.events]
    expected = [f"2026-03-04T{clock}" for clock in TIMES.values()] + ["2026-03-03T23:00:00"]
    assert [_utc(text) for text in moments] == expected


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    "text", ["03/04/2024", "1709528767", "yesterday", "2024-02-30", "9999-12-31T23:59:59-05:00", ""]
)
def test_any_other_text_is_no_time(klaviyo: KlaviyoSimulator, text: str) -> None:
    ran = send_events(klaviyo, "string", [text])
    assert ran.codes == ["bad_time"]
    assert "to_timestamp" in ran.rejected[0].detail or text == ""
    assert klaviyo.events == []


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000])
@pytest.mark.parametrize("kind", ["long", "double", "decimal(38,0)"])
def test_a_number_is_seconds_or_smaller_by_its_size(klaviyo: KlaviyoSimulator, factor: int, kind: str) -> None:
    number = 1_700_000_000 * factor
    ran = send_events(klaviyo, kind, [Decimal(number) if "decimal" in kind else number])
    assert ran.codes == []
    assert _utc(str(klaviyo.events[0]["time"])) == "2023-11-14T22:13:20"


@pytest.mark.parametrize("number", [0, 10**6, 10**18, -5, 4 * 10**9])
def test_a_number_outside_the_window_of_events_is_rejected(klaviyo: KlaviyoSimulator, number: int) -> None:
    assert send_events(klaviyo, "long", [number]).codes == ["bad_time"]


def test_a_null_time_is_rejected_unless_events_happen_now(klaviyo: KlaviyoSimulator) -> None:
    refused = send_events(klaviyo, "string", [None, "2026-03-04T05:06:07Z"])
    assert (refused.codes, len(klaviyo.events)) == (["bad_time"], 1)
    now = send_events(klaviyo, "timestamp", [None], event_time="now")
    assert (now.codes, len(klaviyo.events)) == ([], 2)


def test_events_without_a_time_column_are_refused_unless_they_happen_now(klaviyo: KlaviyoSimulator) -> None:
    columns = {"email": ("string", list[object](["a@b.co"]))}
    with pytest.raises(SchemaError, match=r"no column for time.*event_time=now"):
        send(klaviyo, columns, template="create_event", metric="Ordered")
    send(klaviyo, columns, template="create_event", metric="Ordered", event_time="now")
    assert len(klaviyo.events) == 1


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
def test_a_year_beyond_9999_is_rejected_wherever_it_stands(klaviyo: KlaviyoSimulator, kind: str) -> None:
    late = pa.scalar(253_402_300_800_000_000, pa.int64()).cast(TYPES[kind])
    fields = [Field("email", read_type("string")), Field("ends", read_type(kind))]
    plan = make_plan(options_for(klaviyo), fields, "run")
    ends = pa.array([late, (EPOCH + timedelta(days=1)).replace(tzinfo=None)], TYPES[kind])
    ran = run_plan(plan, [pa.RecordBatch.from_arrays([pa.array(["a@b.co", "b@b.co"]), ends], names=["email", "ends"])])
    assert (ran.codes, held(klaviyo, "email")) == (["bad_time"], {"b@b.co"})


def test_a_unique_id_that_is_missing_is_made_from_the_row(klaviyo: KlaviyoSimulator) -> None:
    ids = ["one", None, "  ", "null"]
    columns = {
        "email": ("string", list[object](["a@b.co"] * 4)),
        "unique_id": ("string", list[object](ids)),
        "n": ("long", list[object]([1, 2, 3, 4])),
    }
    ran = send(klaviyo, columns, template="bulk_create_events", metric="Ordered", event_time="now")
    assert ran.codes == []
    assert len(klaviyo.events) == 4


def test_a_currency_is_sent_in_upper_case(klaviyo: KlaviyoSimulator) -> None:
    columns = {"email": ("string", ["a@b.co"]), "value": ("double", [5.0]), "value_currency": ("string", [" eur"])}
    ran = send(klaviyo, columns, template="create_event", metric="Ordered", event_time="now")  # type: ignore[arg-type]
    assert ran.codes == []
    assert klaviyo.requests[-1].json()["data"]["attributes"]["value_currency"] == "EUR"


@pytest.mark.parametrize("zone", ["Berlin", "", "Europe/Nowhere", "../etc"])
def test_a_zone_that_is_none_is_refused(klaviyo: KlaviyoSimulator, zone: str) -> None:
    with pytest.raises(OptionError, match="time_zone"):
        options_for(klaviyo, time_zone=zone)


@pytest.mark.parametrize(("country", "hint"), [("UK", "GB"), ("uk", "GB"), ("ZZ", "ISO 3166")])
def test_a_country_that_is_none_is_refused(klaviyo: KlaviyoSimulator, country: str, hint: str) -> None:
    with pytest.raises(OptionError, match=hint):
        options_for(klaviyo, default_country=country)


def warned_rows(ran: Ran, word: str) -> list[int]:
    return [rows for text, rows in ran.report.warnings.items() if word in text]


@pytest.mark.parametrize("kind", ["string", "timestamp", "long"])
def test_old_events_are_counted_unless_they_are_said_to_be_past(klaviyo: KlaviyoSimulator, kind: str) -> None:
    now = datetime.now(timezone.utc)
    moments = [now - timedelta(days=days) for days in (0, 6, 8, 400)]
    times: list[object] = [
        moment.isoformat() if kind == "string" else int(moment.timestamp()) if kind == "long" else moment
        for moment in moments
    ]
    assert warned_rows(send_events(klaviyo, kind, times), "backfill") == [2]
    assert warned_rows(send_events(klaviyo, kind, times, backfill="true"), "backfill") == []


def test_rows_of_one_order_are_told_how_to_become_one_event(klaviyo: KlaviyoSimulator) -> None:
    columns: dict[str, tuple[str, list[object]]] = {
        "email": ("string", ["a@b.co", "a@b.co", "b@b.co", "a@b.co", "a@b.co"]),
        "Order ID": ("string", ["1", "1", "1", None, None]),
        "item": ("string", ["x", "y", "x", "z", "w"]),
    }
    events = {"template": "bulk_create_events", "metric": "Ordered", "event_time": "now"}
    assert warned_rows(send(klaviyo, columns, **events), "groupBy") == [2]
    columns["unique_id"] = ("string", ["1", "2", "3", "4", "5"])
    assert warned_rows(send(klaviyo, columns, **events), "groupBy") == []


@pytest.mark.parametrize("zone", ["America/New_York", "UTC"])
def test_the_last_day_of_python_rejects_one_row_and_fails_no_task(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        last, usual = datetime(9999, 12, 31, 23, 59, 59), datetime(2026, 1, 1)  # noqa: DTZ001
        found = to_arrow([last, usual, None], read_type("timestamp"))
        assert (found.cast(pa.int64())[0].as_py() >= 253_402_300_800_000_000) == (zone != "UTC")
        assert found[1].as_py() == usual.astimezone(timezone.utc)
        assert found[2].as_py() is None
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("wrong", ["7210448301122", "ann@example.com", "+16175551234", "0b9e-44", "a b"])
@pytest.mark.parametrize("template", ["add_profile_ids_to_list", "remove_profile_ids_from_list", "update_profile"])
def test_ids_that_cannot_be_klaviyos_are_rejected_where_rows_are_ids(
    klaviyo: KlaviyoSimulator, template: str, wrong: str
) -> None:
    more = {} if template == "update_profile" else {"list_id": "Y6nRLr"}
    ran = send(klaviyo, {"id": ("string", [wrong])}, template=template, **more)
    assert ran.codes == ["bad_value"]
    assert "expected an id of Klaviyo's" in ran.rejected[0].detail
    assert not [request for request in klaviyo.requests if request.method != "GET"]


def test_ids_of_klaviyos_form_are_sent(klaviyo: KlaviyoSimulator) -> None:
    send(klaviyo, {"email": ("string", ["ann@example.com"])})
    ids: list[object] = [str(klaviyo.profiles[0]["id"])]
    assert (
        send(klaviyo, {"id": ("string", ids), "first_name": ("string", ["Ann"])}, template="update_profile").codes == []
    )


@pytest.mark.parametrize("ids", [["7", None, " ", "null"], [None, None, None, None]])
def test_an_event_without_a_unique_id_gets_one_of_its_own(klaviyo: KlaviyoSimulator, ids: list[object]) -> None:
    columns: dict[str, tuple[str, list[object]]] = {
        "email": ("string", ["a@b.co", "a@b.co", "a@b.co", "a@b.co"]),
        "time": ("string", ["2026-10-01T00:00:00Z"] * 4),
        "unique_id": ("string", ids),
        "size": ("string", ["1", "2", "3", "4"]),
    }
    ran = send(klaviyo, columns, template="bulk_create_events", metric="Ordered")
    assert (ran.report.accepted, len(klaviyo.events)) == (4, 4)
