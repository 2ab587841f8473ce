"""The pinned revision, how long one lives, and the bodies of older ones."""

from __future__ import annotations

from datetime import date

import pytest

from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.options.model import BY_NAME
from spark_klaviyo.templates import TESTED_REVISION, warn_of
from tests.templates.examples import ANN, NOON, Example
from tests.templates.made import batches_of, loaded, plan_of
from tests.templates.oracle import published_complaints, through_sdk

PATCHED = '{"profile.meta.patch_properties.append.tags": "tags"}'
CASES = {
    "create_event": Example({"email": [ANN], "time": [NOON], "tags": [["vip"]]}, {"metric": "Met", "fields": PATCHED}),
    "create_push_token": Example(
        {"token": ["t"], "platform": ["ios"], "vendor": ["apns"], "email": [ANN], "tags": [["vip"]]},
        {"fields": PATCHED},
    ),
}


def test_the_default_is_the_pinned_revision() -> None:
    assert BY_NAME["revision"].default == TESTED_REVISION == "2026-10-15"


@pytest.mark.parametrize(
    ("revision", "word"),
    [
        ("2026-10-15", None),
        ("2026-01-15", "deprecated from 2027-01-15"),
        ("2025-10-15", "deprecated since 2026-10-15 and retired on 2027-10-15"),
        ("2025-01-15", "is retired on 2027-01-15"),
        ("2024-10-15", "was retired on 2026-10-15"),
        ("2026-07-15.pre", None),
    ],
)
def test_a_revision_near_its_end_is_warned_of(revision: str, word: str | None) -> None:
    said = warn_of(revision, date(2026, 11, 23))
    assert said is None if word is None else (said is not None and word in said)


@pytest.mark.parametrize(("days_before", "warned"), [(91, False), (90, True)], ids=["91 days before", "90 days before"])
def test_the_warning_begins_ninety_days_before_deprecation(days_before: int, warned: bool) -> None:
    today = date.fromordinal(date(2027, 10, 15).toordinal() - days_before)
    assert (warn_of(TESTED_REVISION, today) is not None) == warned


@pytest.mark.parametrize("revision", ["2027-01-15", "newest", "2026-13-01", "2026-10"])
def test_a_revision_that_cannot_be_is_refused(revision: str) -> None:
    with pytest.raises(OptionError, match="revision"):
        warn_of(revision, date(2026, 11, 23))


def test_the_pinned_revision_is_never_ahead_of_a_wrong_clock() -> None:
    assert warn_of(TESTED_REVISION, date(2020, 1, 1)) is None


def test_a_plan_carries_the_warning_and_the_header() -> None:
    plan = plan_of("create_event", CASES["create_event"], revision="2024-10-15")
    assert plan.headers["revision"] == "2024-10-15"
    assert any("retired" in warning for warning in plan.warnings)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_meta_of_a_profile_stands_where_the_revision_has_it(name: str) -> None:
    bodies = {}
    for revision in ("2026-07-15", "2026-10-15"):
        (batch,), _ = batches_of(plan_of(name, CASES[name], revision=revision), CASES[name])
        bodies[revision] = loaded(batch)
    assert published_complaints(name, bodies["2026-07-15"]) == []
    assert published_complaints(name, bodies["2026-10-15"]) != []
    assert through_sdk(name, bodies["2026-10-15"]) == bodies["2026-10-15"]
    assert through_sdk(name, bodies["2026-07-15"]) != bodies["2026-07-15"]


def test_a_channel_that_came_later_is_refused_by_name() -> None:
    example = Example({"email": [ANN]}, {"channels": "email,email.click_tracking"})
    (batch,), _ = batches_of(plan_of("bulk_subscribe_profiles", example), example)
    assert through_sdk("bulk_subscribe_profiles", loaded(batch)) == loaded(batch)
    with pytest.raises(SchemaError, match=r"email\.click_tracking"):
        plan_of("bulk_subscribe_profiles", example, revision="2026-07-15")


def test_a_field_that_came_later_is_no_field_before() -> None:
    example = Example(
        {
            "external_id": ["SAVE10"],
            "assigner_configuration": [{"used": "NEVER_ASSIGN", "unused_expired": "ALWAYS_ASSIGN"}],
        }
    )
    (batch,), _ = batches_of(plan_of("create_coupon", example), example)
    assert through_sdk("create_coupon", loaded(batch)) == loaded(batch)
    with pytest.raises(SchemaError, match="assigner_configuration"):
        plan_of("create_coupon", example, revision="2026-07-15")
