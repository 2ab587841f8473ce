"""A task's report: counts that survive JSON, pickling and merging, and samples that stay small."""

from __future__ import annotations

import pickle
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.models import Receipt, RejectedRow, Rejection, Reply
from spark_klaviyo.report.counts.summary import COUNTERS, TALLIES
from spark_klaviyo.report.counts.task_report import TaskReport, merge

codes = st.sampled_from(["bad_email", "invalid", "too_large"]) | st.text(max_size=80)
replies = st.tuples(
    st.sampled_from([200, 202, 429, 503, None]), st.floats(1e9, 1.00001e9), st.integers(0, 9999), st.booleans()
)
words = st.text(max_size=12)


@st.composite
def reports(draw: st.DrawFn) -> TaskReport:
    task = TaskReport(started=draw(st.floats(1, 9)), ended=draw(st.floats(9, 99)))
    for row, code in enumerate(draw(st.lists(codes, max_size=12))):
        rejection = Rejection(row, draw(words), code, draw(words), status=draw(st.sampled_from([None, 400])))
        task.reject(RejectedRow(run_id="r", partition_id=1, email=draw(words), **vars(rejection)))
    for status, at, rows, taken in draw(st.lists(replies, max_size=12)):
        task.record_reply(Reply(status, seconds=rows / 7), at=at, rows=rows if taken else 0, size=rows * 3)
    for number, because in enumerate(draw(st.lists(words, max_size=4))):
        task.accept(number, because)
        task.skip(number, because)
        task.record_job(because, "complete" if number else "processing", number)
    task.stopped = draw(st.none() | st.tuples(words, words))
    task.rows = task.rejected + task.accepted + task.skipped
    return task


@given(reports())
def test_a_report_survives_json_and_pickling(task: TaskReport) -> None:
    assert TaskReport.from_json(task.to_json()) == task
    assert pickle.loads(pickle.dumps(task)) == task


@given(st.lists(reports(), max_size=4))
def test_merging_loses_no_count_however_it_is_grouped(several: list[TaskReport]) -> None:
    merged = merge(several)
    for name in COUNTERS:
        assert getattr(merged, name) == sum(getattr(one, name) for one in several)
    for name in TALLIES:
        assert sum(getattr(merged, name).values()) == sum(sum(getattr(one, name).values()) for one in several)
    one_by_one = reduce(lambda left, right: merge([left, right]), several, TaskReport())
    assert [getattr(one_by_one, name) for name in COUNTERS] == [getattr(merged, name) for name in COUNTERS]
    assert one_by_one.series == merged.series
    assert merged.adds_up()


def test_a_report_of_many_thousand_rejects_and_requests_stays_a_few_kilobytes() -> None:
    task = TaskReport()
    receipt = Receipt("run", 0, 0, "t", "POST", "https://x", 202, 1, 1, 1, "2026-01-01T00:00:00Z", 0.1, None, "ok", "")
    for row in range(20_000):
        rejection = Rejection(row, '{"properties":"' + "x" * 900 + '"}', f"code_{row % 100}", "d" * 5000)
        task.reject(RejectedRow(run_id="r", partition_id=0, email="a@b.example", **vars(rejection)))
    for number in range(5_000):
        task.record_reply(Reply(200 + number % 90, seconds=1.0), at=1e9 + number * 3, rows=9, size=9)
        task.record_receipt(receipt)
        task.record_job(f"job-{number}" * 4, f"state {number}", 5)
    assert task.rejected == sum(task.reasons.values()) == 20_000
    assert sum(task.statuses.values()) == sum(task.job_states.values()) == task.requests == 5_000
    assert len(task.to_json()) < 24_000
    assert len(task.without_rows().to_json()) < 10_000
    assert len(merge([task] * 64).to_json()) < 24_000


def test_the_sample_holds_every_code_although_one_code_is_frequent() -> None:
    task = TaskReport()
    for row in range(1000):
        task.reject(RejectedRow(run_id="r", partition_id=2, **vars(Rejection(row, "{}", "invalid", ""))))
    task.reject(RejectedRow(run_id="r", partition_id=2, **vars(Rejection(1000, "{}", "too_large", ""))))
    assert {row.code for row in task.rejects_sample} == {"invalid", "too_large"}
    assert task.examples == {"invalid": [(2, row) for row in range(5)], "too_large": [(2, 1000)]}


def test_a_record_too_large_for_the_sample_is_left_out_of_its_entry_alone() -> None:
    task = TaskReport()
    rejection = Rejection(0, "x" * 100_000, "too_large", "why")
    task.reject(RejectedRow(run_id="r", partition_id=0, email="a@b.example", **vars(rejection)))
    assert [(row.record, row.email, row.detail) for row in task.rejects_sample] == [("", "a@b.example", "why")]


def test_a_sample_entry_reads_like_a_row_and_its_repr_shows_no_person(busy: TaskReport, person: str) -> None:
    row = busy.rejects_sample[0]
    assert row["email"] == row.email == row.as_dict()["email"] == person
    assert person in row.record
    assert person not in repr(busy) + repr(busy.rejects_sample) + busy.without_rows().to_json()


def test_a_text_that_is_not_a_code_is_counted_as_other() -> None:
    task = TaskReport()
    rejection = Rejection(0, "{}", "Invalid email ann@example.com", "")
    task.reject(RejectedRow(run_id="r", partition_id=0, **vars(rejection)))
    assert task.reasons == {"other": 1}


def test_retries_are_counted_from_receipts_and_throttling_from_replies(busy: TaskReport) -> None:
    assert (busy.retries, busy.throttled, busy.statuses[429], busy.statuses[503]) == (1, 10, 10, 1)
    assert [slow.request_id for slow in busy.slowest] == [f"req-{n:04}" for n in (399, 398, 397, 396, 395)]


def test_a_member_that_a_later_version_added_is_ignored() -> None:
    assert TaskReport.from_json('{"rows":3,"unsent":3,"novel":[1]}') == TaskReport(rows=3, unsent=3)
