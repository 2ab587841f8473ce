"""Manual mode to a call that erases or merges people is guarded like the template of that call, in any spelling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import TASK_ENTRY_POINTS, EntryPoint
from spark_klaviyo.options.erasure import erases, is_erasing_call, may_erase
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, Type
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.task.running import KEY, batches_of, options_for, run_plan

HOST = "https://a.klaviyo.com"
CALLS = ["/api/data-privacy-deletion-jobs", "/api/profile-merge", "/api/v2/data-privacy/deletion-request"]
ERASING = [
    *CALLS,
    "/api/profile-merge/",
    "/api/profile-merge?x=1",
    "/api/Profile-Merge",
    "//api//profile-merge//",
    "/api/./profile-merge",
    "/api/profile%2Dmerge",
    "/api/profile%252Dmerge",
    "/api%2Fprofile-merge",
    "/api/%64ata-privacy-deletion-jobs",
    "/api/data-privacy-deletion-jobs;a=b",
    "/api/v2/data-privacy",
    "/api/v2/DATA-PRIVACY/deletion-request/",
    "/api/{call}",
    "/api/profile-{call}",
    "/{first}/profile-merge",
    "/{first}/{second}",
    "/api/{a}{b}",
    "/api/v2/{a}/{b}",
    "/api/data-privacy{rest}",
]
HARMLESS = [
    "/api/profiles",
    "/api/profiles/{id}",
    "/api/lists/{id}/relationships/profiles",
    "/api/events?note=profile-merge",
    "/api/profile-import",
    "/api/profile-bulk-import-jobs",
    "/api/privacy-data",
    "/api/v2/list/{id}/members",
    "/api/event-{kind}-jobs",
]


def complaints(entry_point: EntryPoint, **options: object) -> tuple[str, ...]:
    try:
        options_at(entry_point, {"api_key": KEY, **options})
    except OptionError as error:
        return error.complaints
    return ()


@pytest.mark.parametrize("path", ERASING)
def test_a_path_that_erases_people_is_seen_in_any_spelling(path: str) -> None:
    assert may_erase(HOST + path)
    for entry_point in TASK_ENTRY_POINTS - {EntryPoint.STREAM}:
        [complaint] = complaints(entry_point, url=HOST + path)
        assert complaint.startswith("url: this url deletes or merges people, and ")
        assert complaint.endswith("use write_klaviyo")
    [complaint] = complaints(EntryPoint.BATCH, url=HOST + path)
    assert complaint.startswith("confirm_deletion: is required, as this url deletes or merges people")
    assert complaints(EntryPoint.BATCH, url=HOST + path, confirm_deletion="3") == ()


@pytest.mark.parametrize("path", HARMLESS)
def test_any_other_path_asks_for_nothing(path: str) -> None:
    assert not may_erase(HOST + path)
    assert complaints(EntryPoint.PARTITION, url=HOST + path) == ()
    [complaint] = complaints(EntryPoint.FUNCTION, url=HOST + path, confirm_deletion="3")
    assert complaint == "confirm_deletion: this url deletes nothing; leave it out"


def test_a_gateway_that_adds_its_own_key_is_guarded_too() -> None:
    gateway = {"url": f"https://gateway.example.com{CALLS[0]}", "key_in": "none"}
    [complaint] = complaints(EntryPoint.SOURCE, **gateway)
    assert complaint.startswith("url: this url deletes or merges people")


def test_placeholders_of_hosts_that_get_no_key_are_judged_row_by_row() -> None:
    elsewhere = {"url": "https://api.example.com/{a}/{b}", "key_in": "none"}
    assert complaints(EntryPoint.SOURCE, **elsewhere) == ()
    assert len(complaints(EntryPoint.SOURCE, **elsewhere, trusted_hosts="api.example.com")) == 1


ENCODED = st.sampled_from([lambda c: c, lambda c: f"%{ord(c):02X}", lambda c: f"%25{ord(c):02x}", str.upper])


@given(st.sampled_from(CALLS), st.data())
def test_no_way_to_write_such_a_path_gets_round_the_guard(call: str, data: st.DataObject) -> None:
    path = "".join(
        data.draw(st.sampled_from(["/", "//", "/./", "%2F"])) if letter == "/" else data.draw(ENCODED)(letter)
        for letter in call
    )
    assert erases(path)


@pytest.mark.parametrize(
    ("value", "erasing"),
    [
        ("../data-privacy-deletion-jobs", True),
        ("x/../../profile-merge", True),
        ("..%2Fprofile-merge", True),
        ("profile-merge", False),
        ("01HDBZ3FXGKRHYT8YFWE9XF5XR", False),
    ],
)
def test_a_row_whose_value_would_lead_to_such_a_call_is_rejected(value: str, erasing: bool) -> None:
    assert is_erasing_call(f"/api/profiles/{value}") is erasing
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        options: dict[str, Any] = {"template": None, "url": f"{klaviyo.url}/api/profiles/{{id}}", "method": "PATCH"}
        plan = make_plan(options_for(klaviyo, **options), [Field("id", Type("string"))], "run")
        ran = run_plan(plan, batches_of([{"id": value}], 10))
        assert (ran.codes == ["erases_people"]) is erasing
        assert bool(klaviyo.requests) is not erasing


def test_change_data_goes_to_nothing_that_deletes() -> None:
    changes = {"change_column": "op", "on_delete": "ignore", "confirm_deletion": "1"}
    for target in ({"template": "merge_profiles"}, {"template": "request_profile_deletion"}):
        found = complaints(EntryPoint.FUNCTION, **target, **changes)
        assert any(complaint.startswith("change_column: ") for complaint in found)
