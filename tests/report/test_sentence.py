"""What `print(report)` shows."""

from __future__ import annotations

import pytest

from spark_klaviyo.report.counts.text import duration, listed, share, size
from spark_klaviyo.report.report import WriteReport


def report(**counts: object) -> WriteReport:
    return WriteReport("run-1", "bulk_import_profiles", **counts)  # type: ignore[arg-type]


CASES = [
    ({}, "0 rows: nothing to send"),
    ({"rows": 1, "delivered": 1, "requests": 1}, "1 row: 1 delivered in 1 request"),
    (
        {"rows": 12_000, "delivered": 11_996, "rejected": 4, "requests": 3,
         "reasons": {"no_identifier": 1, "bad_email": 3}},
        "12,000 rows: 11,996 delivered in 3 requests, 4 rejected (3 bad_email, 1 no_identifier)",
    ),
    (
        {"rows": 9, "accepted": 9, "requests": 1, "accepted_because": {"Klaviyo does not confirm": 9}},
        "9 rows: 9 accepted (Klaviyo does not confirm) in 1 request",
    ),
    (
        {"rows": 9, "accepted": 9, "requests": 2, "accepted_because": {"no job": 4, "an open job": 5}},
        "9 rows: 9 accepted (5 an open job, 4 no job) in 2 requests",
    ),
    ({"rows": 4, "rejected": 4, "requests": 2, "reasons": {"x": 4}},
     "4 of 4 rows rejected with the code x; 4 rows: 4 rejected (4 x) in 2 requests"),
    ({"rows": 4, "skipped": 4, "skipped_because": {"delivered before": 4}}, "4 rows: 4 skipped (delivered before)"),
    (
        {"rows": 5, "delivered": 2, "unsent": 3, "requests": 1, "resent": 2, "started": 100.0, "ended": 302.0,
         "stopped": ("key_refused", "no scope")},
        "5 rows: 2 delivered in 1 request, 3 unsent; 2 rows may have arrived twice; took 3 min 22 s; stopped: no scope",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "text"), CASES, ids=[text[:40] for _, text in CASES])
def test_the_sentence_says_what_is_not_zero(counts: dict[str, object], text: str) -> None:
    assert report(**counts).summary == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (2.06, "2.1 s"), (9.96, "10 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (999_600, "1.0 MB"),
        (4_930_000, "4.9 MB"),
        (8.2e12, "8,200 GB"),
    ],
)
def test_a_size_has_decimal_units(number: float, text: str) -> None:
    assert size(number) == text


def test_a_share_never_rounds_to_all_or_nothing() -> None:
    assert [share(1, 10**6), share(10**6 - 1, 10**6), share(1, 1), share(0, 0), share(1, 8)] == [
        "< 0.1 %", "> 99.9 %", "100 %", "0 %", "12.5 %",
    ]  # fmt: skip


def test_many_reasons_are_summed_up() -> None:
    assert listed({"a": 1, "b": 5, "c": 3, "d": 2, "e": 1}, most=2) == "5 b, 3 c, 4 for other reasons"


def test_refusals_are_explained_below_the_sentence() -> None:
    details = {"invalid": "Klaviyo's own sentence", "bad_email": ""}
    counts = {"rows": 9, "delivered": 2, "rejected": 7, "reasons": {"bad_email": 1, "invalid": 6}, "details": details}
    first, *others = str(report(**counts, examples={"invalid": [(3, 14)]}, warnings={"w": 2})).splitlines()
    assert first.startswith(
        "6 of 9 rows rejected with the code invalid, for example: Klaviyo's own sentence; 9 rows: 2 delivered"
    )
    assert others == [
        "warning: w (2)",
        "rejected: 6 rows, such as row 14 of partition 3; invalid: Klaviyo's own sentence",
        "rejected: 1 row; bad_email: the email cannot be an address",
    ]
