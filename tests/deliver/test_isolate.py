"""Which rows a refusal is about, and when it is about the request as a whole."""

from __future__ import annotations

import pytest

from spark_klaviyo.deliver.isolate import isolate, position_in, refuses_any_rows, rejections
from spark_klaviyo.deliver.sender import DaemonPool
from spark_klaviyo.http.documents import Fault
from tests.deliver.scripted import POINTER, batches

EMAIL = Fault("invalid", "Invalid input.", "Invalid email address")


def at(pointer: str, detail: str = "Invalid email address") -> Fault:
    return Fault("invalid", "Invalid input.", detail, pointer)


def test_named_rows_are_rejected_alone_and_the_rest_is_sent_again() -> None:
    (batch,) = batches(5)
    faults = [at(f"{POINTER}/3/attributes/email"), at(f"{POINTER}/1"), at(f"{POINTER}/3/id", "second")]
    isolated = isolate(batch, faults, POINTER)
    assert sorted(isolated.rejected) == [1, 3]
    assert isolated.rejected[3].detail == "Invalid email address"
    assert [rest.numbers().tolist() for rest in isolated.again] == [[0, 2, 4]]


def test_when_all_rows_are_named_nothing_is_sent_again() -> None:
    (batch,) = batches(2)
    isolated = isolate(batch, [at(f"{POINTER}/0"), at(f"{POINTER}/1")], POINTER)
    assert (sorted(isolated.rejected), isolated.again) == ([0, 1], ())


@pytest.mark.parametrize("faults", [[], [at("/data")], [at(f"{POINTER}/99/x")], [at(f"{POINTER}/x")], [at(POINTER)]])
def test_a_refusal_that_names_no_row_is_halved(faults: list[Fault]) -> None:
    (batch,) = batches(5)
    isolated = isolate(batch, faults, POINTER)
    assert isolated.rejected == {}
    assert [half.numbers().tolist() for half in isolated.again] == [[0, 1], [2, 3, 4]]


def test_a_single_row_is_rejected_with_klaviyos_detail() -> None:
    (batch,) = batches(1)
    assert isolate(batch, [EMAIL], "").rejected == {0: EMAIL}
    assert isolate(batch, [], "").rejected[0].code == "refused"


@pytest.mark.parametrize(
    "fault",
    [
        at("/data", "List ID Y6nRLr does not exist."),
        at("/data/relationships/list/data/id", "List not found with id Y6nRLr."),
        at("/data/relationships/lists/data/0/id", "bad"),
        at("/data/type", "wrong"),
    ],
)
def test_a_refusal_of_the_request_itself_rejects_all_rows_at_once(fault: Fault) -> None:
    (batch,) = batches(4)
    isolated = isolate(batch, [fault], POINTER)
    assert (len(isolated.rejected), isolated.again) == (4, ())


def test_rows_at_data_itself_are_distinguished_from_its_settings() -> None:
    assert [position_in(rest) for rest in ("/2/id", "/2", "/", "", "2/id")] == [[2], [2], [], [], []]
    assert not refuses_any_rows([at("/data/", "Invalid profile IDs: 01A")], "/data")


def test_rejections_hold_the_record_the_full_detail_and_the_duplicates_id() -> None:
    (batch,) = batches(3)
    fault = Fault("duplicate_profile", "Conflict.", "Exists.", "/data/attributes", {"duplicate_profile_id": "01A"})
    (rejection,) = rejections(batch, {2: fault}, 409)
    assert (rejection.row, rejection.record, rejection.status, rejection.code) == (2, "2", 409, "duplicate_profile")
    assert rejection.detail == "Exists. (duplicate_profile_id 01A)"
    assert rejection.record not in repr(rejection).replace("row=2", "")


def test_an_exception_in_a_thread_is_raised_with_its_results() -> None:
    def fail(work: int, _: object) -> None:
        message = f"work {work}"
        raise LookupError(message)

    pool: DaemonPool[int, str] = DaemonPool(fail, 2)
    pool.submit(7)
    with pytest.raises(LookupError, match="work 7"):
        list(pool.results(1))
    pool.shutdown()
