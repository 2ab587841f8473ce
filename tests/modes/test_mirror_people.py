"""Who stays and who is removed: the simulator's list before and after, over real HTTP; no Spark is needed for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.errors import SchemaError
from spark_klaviyo.modes.mirror.identities import hash_identifier
from spark_klaviyo.modes.mirror.rows import encode_and_identify, mark_absent
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from spark_klaviyo.state.compare import SENT_AGAIN
from tests.modes.mirroring import LIST, members_of, mirror
from tests.task.running import Row, batches_of, plan_for

EVERY = ("email", "phone_number", "external_id")


def row(**given: str | None) -> Row:
    return {**dict.fromkeys(EVERY), **given}


def emails(klaviyo: KlaviyoSimulator) -> set[str]:
    return {str(member["email"]).lower() for member in members_of(klaviyo)}


def stopped(report: TaskReport) -> str | None:
    return None if report.stopped is None else report.stopped[0]


def test_a_phone_that_a_member_shares_puts_nobody_else_on_the_list() -> None:
    rows = [row(email=f"{name}@example.com", phone_number="+16175550100") for name in "ab"]
    rows += [row(phone_number="+16175550100"), row(phone_number="+16175550101")]
    with KlaviyoSimulator() as klaviyo:
        plan = plan_for(klaviyo, EVERY, template="add_profiles_to_list", list_id=LIST)
    people = [("email", "b@example.com"), ("phone_number", "+16175550101")]
    absent = np.array([hash_identifier(kind, value) for kind, value in people])
    (marked,) = mark_absent(absent, encode_and_identify(plan, iter(batches_of(rows, 9))))
    assert marked.column(SENT_AGAIN).to_pylist() == [False, True, False, True]


# --- rejected rows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "a@x,com",
        "a@exa\u200bmple.com",
        "'a@example.com",
        "mailto:a@example.com",
        "\u0430@example.com",
        "a @example.com",
    ],
)
def test_the_member_that_a_mistyped_email_means_stays_and_others_are_removed(typed: str) -> None:
    meant = "a@x.com" if "," in typed else "a@example.com"
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": meant}, {"email": "gone@example.com"}, {"email": "b@example.com"}], LIST)
        report = mirror(klaviyo, [row(email=typed, external_id="1"), row(email="b@example.com")])
        assert {meant, "b@example.com"} <= emails(klaviyo)
        assert "gone@example.com" not in emails(klaviyo)
        assert (stopped(report), report.removed) == (None, 1)


def test_a_rejected_row_keeps_the_member_with_any_of_its_identifiers() -> None:
    people = [row(email="a@x.com", external_id="7"), row(phone_number="+12025550123"), row(email="gone@x.com")]
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([dict(one) for one in people], LIST)
        kept = members_of(klaviyo)[:2]
        rows = [row(email="no address", external_id="7"), row(email="neither", phone_number="+1 (202) 555-0123")]
        report = mirror(klaviyo, [*rows, row(email="new@x.com")])
        assert [member["id"] for member in members_of(klaviyo)][:2] == [member["id"] for member in kept]
        assert emails(klaviyo) == {"a@x.com", "none", "new@x.com"}
        assert (report.rejected, report.removed) == (2, 1)


@pytest.mark.parametrize(
    "rows",
    [
        [row(email="wrong", external_id="unknown")],
        [row(phone_number="DNC 6175551234")],
        [row(email="zoe@exa\u200bmple.com")],
        [row(email="zo\u0435@example.com")],
    ],
)
def test_a_row_that_may_mean_any_member_removes_nobody(rows: list[Row]) -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "a@x.com"}, {"email": "b@x.com"}], LIST)
        report = mirror(klaviyo, [*rows, row(email="new@x.com")])
        assert {"a@x.com", "b@x.com", "new@x.com"} <= emails(klaviyo)
        assert (stopped(report), report.removed) == (StopCode.UNIDENTIFIED_ROWS, 0)


def test_rows_in_doubt_do_not_hide_a_wrong_list() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": f"p{number}@x.com"} for number in range(20)], LIST)
        report = mirror(klaviyo, [row(email="new@x.com"), row(email="nobody")], max_removals="10%")
        assert (stopped(report), report.unsent) == (StopCode.TOO_MANY_REMOVALS, 2)
        assert emails(klaviyo) == {f"p{number}@x.com" for number in range(20)}
        rows = [row(email=f"p{number}@x.com") for number in range(3, 20)]
        report = mirror(klaviyo, [*rows, row(email="new@x.com"), row(email="nobody")], max_removals="10%")
        assert (stopped(report), report.delivered) == (StopCode.UNIDENTIFIED_ROWS, 18)
        assert len(members_of(klaviyo)) == 21


def test_blank_rows_hold_nothing_up_but_blank_rows_alone_remove_nobody() -> None:
    blank: Row = {**row(email="  ", external_id=""), "first_name": " "}
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "a@x.com"}, {"email": "gone@x.com"}], LIST)
        with pytest.raises(SchemaError, match="none of its rows has an identifier"):
            mirror(klaviyo, [blank, blank])
        assert emails(klaviyo) == {"a@x.com", "gone@x.com"}
        assert mirror(klaviyo, [blank, {**row(email="A@x.com "), "first_name": None}]).removed == 1
        assert emails(klaviyo) == {"a@x.com"}


def test_a_column_with_the_shops_own_ids_removes_nobody_whose_row_it_rejects() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": f"p{number}@x.com"} for number in range(10)], LIST)
        rows: list[Row] = [{"id": f"{4711 + number}", "email": f"p{number}@x.com"} for number in range(8)]
        mirror(klaviyo, rows)
        assert emails(klaviyo) == {f"p{number}@x.com" for number in range(8)}
        report = mirror(klaviyo, [{"id": "4718", "email": None}, *rows[:7]])
        assert (stopped(report), report.removed) == (StopCode.UNIDENTIFIED_ROWS, 0)
        assert emails(klaviyo) == {f"p{number}@x.com" for number in range(8)}


def test_a_row_that_klaviyo_refuses_keeps_its_member() -> None:
    with KlaviyoSimulator(faults=[Fault("job_row_errors", rate=1.0)]) as klaviyo:
        klaviyo.add_profiles([{"email": "a@x.com"}, {"email": "gone@x.com"}], LIST)
        report = mirror(klaviyo, [row(email="a@x.com"), row(email="new@x.com")])
        assert (report.rejected, report.removed) == (2, 1)
        assert emails(klaviyo) == {"a@x.com"}


@pytest.mark.parametrize(("validate", "on_bad_phone"), [("off", "reject"), ("warn", "reject"), ("strict", "drop")])
def test_what_is_sent_unchecked_counts_as_it_is_sent(validate: str, on_bad_phone: str) -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "a@x.com"}, {"email": "gone@x.com"}], LIST)
        rows = [row(email="a@x.com", phone_number="none"), row(email="new@x.com")]
        report = mirror(klaviyo, rows, validate=validate, on_bad_phone=on_bad_phone)
        assert "a@x.com" in emails(klaviyo)
        assert report.removed == 1


def test_a_phone_that_is_left_out_puts_no_row_in_doubt() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "gone@x.com"}], LIST)
        report = mirror(klaviyo, [row(email="new@x.com", phone_number="none")], on_bad_phone="drop")
        assert (report.delivered, report.removed) == (1, 1)
        assert emails(klaviyo) == {"new@x.com"}


# --- joining and leaving meanwhile ----------------------------------------------------------------


def is_write(request: Any) -> bool:
    return bool(request.method == "POST")


def reads_members(request: Any) -> bool:
    """Whether all members are asked for, not those alone who joined lately."""
    return request.path.endswith("/profiles") and "filter" not in request.target


def on_first(klaviyo: KlaviyoSimulator, kind: Callable[[Any], bool], act: Callable[[], object]) -> None:
    """Have something done in the account before the first request of a kind is answered."""
    answer = klaviyo._server.answer
    done: list[bool] = []

    def answering(request: Any) -> Any:
        if kind(request) and not done:
            done.append(True)
            act()
        return answer(request)

    klaviyo._server.answer = answering


def test_who_joins_before_the_members_are_read_stays() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "gone@x.com"}], LIST)
        on_first(klaviyo, reads_members, lambda: klaviyo.add_profiles([{"email": "late@x.com"}], LIST))
        report = mirror(klaviyo, [row(email="new@x.com")])
        assert emails(klaviyo) == {"late@x.com", "new@x.com"}
        assert report.removed == 1


def test_who_joins_while_rows_are_added_stays_also_who_left_and_came_back() -> None:
    elapsed = [0.0]
    with KlaviyoSimulator(clock=lambda: elapsed[0]) as klaviyo:
        klaviyo.add_profiles([{"email": "back@x.com"}, {"email": "gone@x.com"}], LIST)
        elapsed[0] = 3_600.0

        def meanwhile() -> None:
            elapsed[0] += 5
            klaviyo.add_profiles([{"email": "late@x.com"}], LIST)
            for profile in klaviyo.lists[LIST].members:
                if profile["email"] == "back@x.com":
                    klaviyo.lists[LIST].remove(profile["id"])
                    klaviyo.lists[LIST].add(profile["id"], klaviyo.clock.now())

        on_first(klaviyo, is_write, meanwhile)
        report = mirror(klaviyo, [row(email="new@x.com")])
        assert emails(klaviyo) == {"back@x.com", "late@x.com", "new@x.com"}
        assert report.removed == 1


@pytest.mark.parametrize("ahead", [-90_000.0, 0.0, 90_000.0])
def test_this_machines_clock_does_not_decide_who_is_new(ahead: float) -> None:
    with KlaviyoSimulator(clock=lambda: ahead) as klaviyo:
        klaviyo.clock._began = 0.0
        klaviyo.add_profiles([{"email": "gone@x.com"}], LIST)
        assert mirror(klaviyo, [row(email="new@x.com")]).removed == 1
        assert emails(klaviyo) == {"new@x.com"}


def test_nobody_is_removed_when_it_cannot_be_read_who_joined_meanwhile() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "gone@x.com"}], LIST)
        fault = Fault("status", path=f"/api/lists/{LIST}/profiles", status=403, after=2)
        klaviyo.inject(fault)
        report = mirror(klaviyo, [row(email="new@x.com")])
        assert (stopped(report), report.removed) == (StopCode.FORBIDDEN, 0)
        assert emails(klaviyo) == {"gone@x.com", "new@x.com"}


# --- what was removed -----------------------------------------------------------------------------


def test_the_report_holds_who_was_removed_as_klaviyo_had_them() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": "Gone@X.com", "external_id": "7"}, {"phone_number": "+12025550123"}], LIST)
        before = {member["id"]: member for member in members_of(klaviyo)}
        report = mirror(klaviyo, [row(email="new@x.com")])
        assert report.removed == 2
        removed = {one.id: (one.email, one.phone_number, one.external_id) for one in report.removed_sample}
        assert removed == {one: tuple(member[kind] for kind in EVERY) for one, member in before.items()}
        assert {one.list_id for one in report.removed_sample} == {LIST}
        assert "Gone" not in repr(report.removed_sample) + report.without_rows().to_json()


def test_members_whose_removal_is_refused_are_not_among_the_removed() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": f"gone{number}@x.com"} for number in range(4)], LIST)
        first = members_of(klaviyo)[0]

        def merged_away() -> None:
            klaviyo.lists[LIST].remove(first["id"])
            del klaviyo.account.profiles.by_id[first["id"]]

        on_first(klaviyo, is_write, merged_away)
        report = mirror(klaviyo, [row(email="new@x.com")])
        assert first["id"] not in {one.id for one in report.removed_sample}
        assert (report.removed, len(report.removed_sample)) == (3, 3)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, as it does in a terminal: shells have programs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_removal_reports_who_was_removed_until_then() -> None:
    with KlaviyoSimulator() as klaviyo:
        klaviyo.add_profiles([{"email": f"gone{number}@x.com"} for number in range(2_500)], LIST)
        numbers = count()

        def is_second_removal(request: Any) -> bool:
            return request.method == "DELETE" and next(numbers) == 1

        on_first(klaviyo, is_second_removal, lambda: os.kill(os.getpid(), signal.SIGINT))
        report = mirror(klaviyo, [row(email="new@x.com")])
        assert stopped(report) == StopCode.INTERRUPTED
        # what was answered before the interrupt is seen differs; nobody counts who is still on the list
        assert report.removed <= 2_500 - sum(email.startswith("gone") for email in emails(klaviyo))
        assert report.removed == 0 or report.removed_sample
        assert not {one.email for one in report.removed_sample} & emails(klaviyo)


# --- anybody --------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 5)
BAD_EMAILS = ["", "p{n}", "p{n}@x,com", "p{n}@x.\u200bcom", "'p{n}@x.com", "\u0440{n}@x.com", "p{n}@x@x.com"]


@st.composite
def people(draw: st.DrawFn, number: int) -> dict[str, str]:
    """Some of the identifiers of the person with this number."""
    whole = {"email": f"P{number}@x.com", "phone_number": f"+12025550{number:03d}", "external_id": f"{number}"}
    kinds = draw(st.sets(st.sampled_from(EVERY), min_size=1))
    return {kind: whole[kind] for kind in kinds}


@st.composite
def rows_about(draw: st.DrawFn, number: int) -> Row:
    """A row about the person, maybe one that is rejected."""
    found = draw(people(number))
    spoiled = draw(st.sampled_from(["no", "email", "phone", "case"]))
    if spoiled == "email" and "email" in found:
        found["email"] = draw(st.sampled_from(BAD_EMAILS)).format(n=number)
    if spoiled == "phone" and "phone_number" in found:
        found["phone_number"] = draw(st.sampled_from(["unknown", "12", "DNC 202", f"1-202-555-0{number:03d}"]))
    if spoiled == "case":
        found = {kind: f" {value.lower()} " if kind == "email" else value for kind, value in found.items()}
    return row(**found)


def shares(one: Row | dict[str, Any], other: Row | dict[str, Any]) -> bool:
    """Whether two people have an identifier in common, as Klaviyo compares them."""

    def form(person: Row | dict[str, Any], kind: str) -> str:
        return str(person.get(kind) or "").strip().removeprefix("'").lower()  # without that of a spreadsheet

    return any(form(one, kind) and form(one, kind) == form(other, kind) for kind in EVERY)


@given(st.data(), st.sets(NUMBERS, min_size=1), st.lists(NUMBERS, min_size=1, max_size=6))
def test_nobody_in_the_dataframe_is_removed_and_nobody_else_is_touched(
    data: st.DataObject, on_list: set[int], in_frame: list[int]
) -> None:
    """Each person has a number; rows are about numbers, whatever they hold."""
    with KlaviyoSimulator() as klaviyo:
        numbers: dict[str, int] = {}
        for number in sorted(on_list | {20}):
            profile = data.draw(people(number), label=f"profile {number}")
            klaviyo.add_profiles([profile], LIST if number != 20 else None)
            numbers[klaviyo.profiles[-1]["id"]] = number
        before = {member["id"]: dict(member) for member in members_of(klaviyo)}
        rows = [data.draw(rows_about(number), label=f"row {number}") for number in in_frame]
        try:
            report = mirror(klaviyo, rows)
        except SchemaError:
            assert {member["id"] for member in members_of(klaviyo)} == set(before)
            return
        after = {member["id"]: member for member in members_of(klaviyo)}
        removed = set(before) - set(after)
        assert report.removed == len(removed) == len(report.removed_sample)
        # nobody whose row shares an identifier with them, and nobody whose row was rejected
        assert not [one for one in removed for given_row in rows if shares(before[one], given_row)]
        rejected = {number for number, given_row in zip(in_frame, rows, strict=True) if not accepted(given_row)}
        assert not {numbers[one] for one in removed} & rejected
        # somebody elsewhere is as before
        elsewhere = next(profile for profile in klaviyo.profiles if numbers.get(profile["id"]) == 20)
        assert elsewhere["id"] not in after
        if report.stopped is None and not rejected:
            assert all(any(shares(member, given_row) for given_row in rows) for member in after.values())
            filled = [given_row for given_row in rows if shares(given_row, given_row)]
            assert all(any(shares(member, given_row) for member in after.values()) for given_row in filled)
        if report.stopped is not None:
            assert report.stopped[0] == StopCode.UNIDENTIFIED_ROWS
            assert not removed


def accepted(given_row: Row) -> bool:
    """Whether all identifiers of a row are as Klaviyo takes them."""
    email, phone = str(given_row["email"] or "").strip().removeprefix("'"), given_row["phone_number"]
    known = not email or (email.lower().startswith("p") and email.isascii() and email.lower().endswith("@x.com"))
    return known and email.count("@") <= 1 and (phone is None or str(phone).startswith("+"))
