"""Buckets over time: nothing is lost when they widen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.report.counts.summary import MAX_BUCKETS, Series
from spark_klaviyo.report.counts.task_report import TaskReport

events = st.lists(st.tuples(st.floats(0, 2e9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=30)
Events = list[tuple[float, int, int, int]]


def series_of(added: Events) -> Series:
    series = Series()
    for event in added:
        series.add(*event)
    return series


@given(events)
def test_no_count_is_lost_and_the_buckets_stay_few(added: Events) -> None:
    points = series_of(added).points()
    for place in (0, 1, 2):
        assert sum(counts[place] for _, counts in points) == sum(event[place + 1] for event in added)
    assert len(points) <= MAX_BUCKETS


@given(events, events)
def test_merging_two_series_is_adding_all_to_one(left: Events, right: Events) -> None:
    assert Series.merge([series_of(left), series_of(right)]) == series_of(left + right)


@given(events)
def test_a_series_comes_back_from_json(added: Events) -> None:
    report = TaskReport(series=series_of(added))
    assert TaskReport.from_json(report.to_json()) == report


def test_an_event_is_in_the_bucket_that_starts_before_it() -> None:
    series = series_of([(100.9, 5, 1, 0), (101.5, 7, 1, 1)])
    assert series.points() == [(100.75, (5, 1, 0)), (101.0, (0, 0, 0)), (101.25, (0, 0, 0)), (101.5, (7, 1, 1))]


def test_a_short_run_is_shown_from_its_start_to_its_end() -> None:
    series = series_of([(101.3, 5, 1, 0)])
    assert series.during(100.0, 102.4).points()[::9] == [(100.0, (0, 0, 0)), (102.25, (0, 0, 0))]
    assert series.points() == [(101.25, (5, 1, 0))]


@given(events, st.floats(0, 2e9), st.floats(0, 2e9))
def test_whatever_the_clocks_say_the_buckets_of_a_run_stay_few(added: Events, started: float, ended: float) -> None:
    shown = series_of(added).during(started, ended)
    assert len(shown.points()) <= MAX_BUCKETS
    assert sum(counts[0] for _, counts in shown.points()) == sum(event[1] for event in added)
