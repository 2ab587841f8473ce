"""What the page says to do next."""

from __future__ import annotations

import pytest

from spark_klaviyo.report.counts.text import advice
from spark_klaviyo.report.report import WriteReport

CASES: list[tuple[dict[str, object], list[str]]] = [
    ({"rows": 5, "delivered": 5, "requests": 1}, []),
    ({"rows": 5, "unsent": 5, "stopped": ("key_refused", "no")}, ["5 rows were not sent"]),
    ({"rows": 5, "rejected": 5, "reasons": {"bad_email": 4, "in_doubt": 1}}, ['record_column="record"', "in doubt"]),
    ({"rows": 5, "rejected": 5, "reasons": {"unavailable": 5}}, ["marked unavailable"]),
    ({"rows": 5, "rejected": 5, "reasons": {"ambiguous_change": 5}}, ["look in the source"]),
    ({"rows": 5, "rejected": 5, "reasons": {"no_consent": 5}}, ["leave them out"]),
    ({"rows": 5, "rejected": 5, "reasons": {"opted_out": 5}}, []),
    ({"job_states": {"complete": 4, "processing": 2}}, ["2 jobs are not finished"]),
    ({"job_states": {"complete": 4, "cancelled": 1, "queued": 1}}, ["1 job is not finished"]),
    ({"resent": 1}, ["1 row may have arrived twice"]),
    ({"requests": 100, "throttled": 5}, []),
    ({"requests": 100, "throttled": 100}, ["50.0 % of the replies were 429"]),
]


@pytest.mark.parametrize(("counts", "expected"), CASES, ids=[" ".join(counts) for counts, _ in CASES])
def test_each_problem_and_no_other_comes_with_its_next_step(counts: dict[str, object], expected: list[str]) -> None:
    steps = advice(WriteReport("run-1", "t", **counts))  # type: ignore[arg-type]
    assert len(steps) == len(expected)
    for step, words in zip(steps, expected, strict=True):
        assert words in step
