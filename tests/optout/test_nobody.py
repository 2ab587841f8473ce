"""Whatever is in the rows: nobody who opted out is subscribed again, and nobody outside the DataFrame is touched."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.simulator.errors import JsonObject
from tests.task.running import Row, run

LIST, OTHER = "Y6nRLr", "Lst1Aa"
PEOPLE = 6
CHANNELS = ("email", "sms", "sms.transactional", "whatsapp", "push", "email.open_tracking")
REASONS = ("UNSUBSCRIBE", "SPAM_COMPLAINT", "USER_SUPPRESSED", "HARD_BOUNCE")
people = st.integers(0, PEOPLE - 1)
histories = st.lists(
    st.tuples(people, st.sampled_from(CHANNELS), st.sampled_from(("SUBSCRIBED", "UNSUBSCRIBED"))), max_size=8
)
suppressed = st.lists(st.tuples(people, st.sampled_from(REASONS), st.sampled_from(("", LIST, OTHER))), max_size=4)
# Email and phone of a row may be those of two people, of nobody, or missing.
numbers = st.sampled_from((0, 0, 1, 1, 2, 3, 4, 5, PEOPLE, None))
rows = st.lists(
    st.fixed_dictionaries({
        "email": numbers.map(lambda n: None if n is None else f" P{n}@Example.com"),
        "phone_number": numbers.map(lambda n: None if n is None else f"+1617555010{n}"),
        "words": st.lists(st.sampled_from((*CHANNELS, *CHANNELS, "none")), min_size=1, max_size=3).map(", ".join),
        "again": st.sampled_from((None, None, "true", "false", "yes")),
    }),
    min_size=1,
    max_size=12,
)  # fmt: skip


def opt_outs(profile: JsonObject) -> set[str]:
    """What somebody has opted out of."""
    found = set()
    for medium, purposes in profile["subscriptions"].items():
        found |= {f"{medium}.{use}" for use, record in purposes.items() if record["consent"] == "UNSUBSCRIBED"}
    marketing = profile["subscriptions"].get("email", {}).get("marketing", {})
    found |= {one["reason"] for one in marketing.get("suppression", []) if one["reason"] != "HARD_BOUNCE"}
    of_lists = [one for one in marketing.get("list_suppressions", []) if one["reason"] != "HARD_BOUNCE"]
    return found | {f"list {one['list_id']}" for one in of_lists}


def names(row: Row) -> set[str]:
    return {str(row[name]).strip().lower() for name in ("email", "phone_number") if row[name]}


@given(histories, suppressed, rows, st.sampled_from(("strict", "warn", "off")), st.integers(1, 5), st.integers(1, 6))
def test_nobody_who_opted_out_is_subscribed(
    history: list[tuple[int, str, str]],
    reasons: list[tuple[int, str, str]],
    given_rows: list[Row],
    validate: str,
    max_rows: int,
    rows_of_partition: int,
) -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles(
            [{"email": f"p{n}@example.com", "phone_number": f"+1617555010{n}"} for n in range(PEOPLE)], OTHER
        )
        for person, channel, consent in history:
            klaviyo.set_consent(f"p{person}@example.com", channel, consent)
        for person, reason, list_id in reasons:
            klaviyo.suppress(f"p{person}@example.com", reason, list_id)
        before = {one["id"]: deepcopy(one) for one in klaviyo.profiles}
        for start in range(0, len(given_rows), rows_of_partition):
            ran = run(
                klaviyo,
                given_rows[start : start + rows_of_partition],
                encoded_rows=3,
                template="bulk_subscribe_profiles",
                channels="column:words",
                resubscribe="column:again",
                list_id=LIST,
                validate=validate,
                max_rows=max_rows,
            )
            ran.whole()
        signed_up = set().union(*(names(row) for row in given_rows if row["again"] == "true"))
        in_rows = set().union(*map(names, given_rows))
        for profile_id, earlier in before.items():
            after = next(one for one in klaviyo.profiles if one["id"] == profile_id)
            known_by = {earlier["email"], earlier["phone_number"]}
            if not known_by & in_rows:
                assert after == earlier
            if not known_by & signed_up:
                assert opt_outs(after) == opt_outs(earlier)


TAKING_AWAY: dict[str, dict[str, Any]] = {
    "remove_profiles_from_list": {"list_id": LIST},
    "bulk_suppress_profiles": {},
    "request_profile_deletion": {"confirm_deletion": "1"},
    "bulk_unsubscribe_profiles": {"channels": "email", "list_id": LIST},
}
leavers = st.lists(
    st.fixed_dictionaries({
        "email": numbers.map(lambda n: None if n is None else f"P{n}@example.com"),
        "external_id": numbers.map(lambda n: None if n is None else str(n)),
        "phone_number": numbers.map(lambda n: None if n is None else f"+1 617-555-010{n}"),
    }),
    min_size=1,
    max_size=6,
)  # fmt: skip


def meant(row: Row, template: str) -> str | None:
    """The email of the person whom a row means: by its first identifier, and no other."""
    if row["email"] or template == "bulk_unsubscribe_profiles":
        return str(row["email"]).lower()
    if row["external_id"]:
        return f"p{row['external_id']}@example.com"
    return f"p{str(row['phone_number'])[-1]}@example.com" if row["phone_number"] else None


@given(
    leavers,
    st.sampled_from(sorted(TAKING_AWAY)),
    st.sampled_from(("strict", "warn", "off")),
    st.sets(people).map(lambda off: set(range(PEOPLE)) - off),
    st.sets(people),
)
def test_who_is_meant_goes_and_nobody_else(
    given_rows: list[Row], template: str, validate: str, on_list: set[int], on_other: set[int]
) -> None:
    if template == "bulk_unsubscribe_profiles":
        given_rows = [{"email": row["email"], "phone_number": row["phone_number"]} for row in given_rows]
    everybody = [
        {"email": f"p{n}@example.com", "external_id": str(n), "phone_number": f"+1617555010{n}"} for n in range(PEOPLE)
    ]
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles(everybody)
        for list_id, numbered in ((LIST, on_list), (OTHER, on_other)):
            klaviyo.add_profiles([everybody[n] for n in numbered], list_id)
        before = {one["id"]: deepcopy(one) for one in klaviyo.profiles}
        members, of_other = ids_on(klaviyo, LIST), ids_on(klaviyo, OTHER)
        run(klaviyo, given_rows, template=template, validate=validate, **TAKING_AWAY[template]).whole()
        named = {meant(row, template) for row in given_rows}
        after = {one["id"]: one for one in klaviyo.profiles}
        still, still_of_other = ids_on(klaviyo, LIST), ids_on(klaviyo, OTHER)
        for profile_id, earlier in before.items():
            email = earlier["email"]  # of before: a request may have changed how it is spelled
            if email not in named:
                assert after[profile_id] == earlier
                assert (profile_id in still) == (profile_id in members)
            if email not in named or template != "request_profile_deletion":
                assert (profile_id in still_of_other) == (profile_id in of_other)
            if email in named and profile_id in members:
                assert profile_id not in still or email in map(str.lower, klaviyo.suppressed)
        assert {after[one]["email"].lower() for one in after.keys() - before.keys()} <= named


def ids_on(klaviyo: KlaviyoSimulator, list_id: str) -> set[str]:
    """The ids of the members of a list."""
    return {one["id"] for one in klaviyo.lists.get(list_id, [])}
