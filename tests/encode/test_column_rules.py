"""The rules for whole columns equal a plain rule for one value."""

from __future__ import annotations

import math
from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.arrow.columns import NOTHING, bare, whole_texts
from spark_klaviyo.arrow.times import in_zone, read_numbers, read_texts, time_texts
from spark_klaviyo.core.identifiers import BLANKS
from spark_klaviyo.screen import values

WORDS = st.sampled_from([*NOTHING, "NaN", "N/A", "mailto:", "TEL:", "'", " ", "\u00a0", "a@b.co", "7", "", ":", "é"])
TEXTS = st.lists(st.one_of(st.none(), st.lists(WORDS, max_size=4).map("".join), st.text(max_size=6)), max_size=8)
ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu"]


def bare_text(text: str | None, identifier: bool) -> str | None:
    if text is None:
        return None
    text = text.lstrip(BLANKS).removeprefix("'").lstrip(BLANKS)
    if identifier:
        for scheme in ("mailto:", "tel:"):
            if text[: len(scheme)].lower() == scheme:
                text = text[len(scheme) :].lstrip(BLANKS)
                break
    text = text.rstrip(BLANKS)
    return None if identifier and (not text or text.lower() in NOTHING) else text


@given(TEXTS, st.booleans())
def test_texts_are_bared_as_one_by_one(texts: list[str | None], identifier: bool) -> None:
    found = bare(pa.array(texts, pa.string()), identifier=identifier).to_pylist()
    assert found == [bare_text(text, identifier) for text in texts]


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-(2**54), 2**54).map(float)), max_size=6))
def test_whole_numbers_become_text_as_one_by_one(numbers: list[float | None]) -> None:
    for number, text in zip(numbers, whole_texts(pa.array(numbers, pa.float64())).to_pylist(), strict=True):
        if number is not None and math.isfinite(number) and number == int(number) and abs(number) < 2**53:
            assert text == str(int(number))
        else:
            assert (text is None) == (number is None)
            assert text is None or not text.removeprefix("-").isdigit()


CLOCKS = st.datetimes(datetime(1990, 1, 1), datetime(2027, 12, 31)).map(  # noqa: DTZ001
    lambda when: when.isoformat(sep=" ", timespec="microseconds")
)
GAPS = st.sampled_from(
    ["2026-03-08 02:30:00", "2026-11-01 01:30:00", "2026-03-29 02:15:00", "2026-10-25 02:15:00", "2024-02-29 01:00:00"]
)
FORMS = st.sampled_from(["{}", "{}Z", "{}+02:00", "{}-0330", "x{}", " {}"])
WRITTEN = st.builds(
    lambda form, text, cut, mark: form.format(text[:cut].replace(" ", mark)),
    FORMS,
    st.one_of(CLOCKS, GAPS),
    st.sampled_from([10, 16, 19, 23, 26]),
    st.sampled_from([" ", "T"]),
)


@pytest.mark.parametrize("zone", ZONES)
@given(st.data())
def test_texts_become_times_as_one_by_one(zone: str, data: st.DataObject) -> None:
    texts = data.draw(st.one_of(st.lists(st.one_of(st.none(), WRITTEN), max_size=5), st.lists(GAPS, max_size=4)))
    found = read_texts(pa.array(texts, pa.string()), zone)
    found = found if pa.types.is_string(found.type) else time_texts(found.cast(pa.timestamp("us")), "Z")
    for text, sent in zip(texts, found.to_pylist(), strict=True):
        exact = None if text is None else values.time(text, "", None, zone)
        assert sent in (exact, text)
        assert text is None or values.time(sent, "", None, zone) == exact


@given(st.lists(st.one_of(st.none(), st.integers(-(10**18), 10**18)), max_size=6))
def test_numbers_become_times_as_one_by_one(numbers: list[int | None]) -> None:
    found = read_numbers(pa.array(numbers, pa.int64())).cast(pa.int64()).to_pylist()
    for number, micros in zip(numbers, found, strict=True):
        if number is None:
            assert micros is None
        else:
            factor = next((f for most, f in ((1e11, 10**6), (1e14, 10**3), (1e17, 1)) if abs(number) < most), None)
            assert micros == (number * factor if factor else 253_402_300_800_000_000)


@pytest.mark.parametrize("zone", ZONES)
def test_times_without_a_zone_are_moments_of_it(zone: str) -> None:
    texts = ["2026-03-08 02:30:00", "2026-11-01 01:30:00", "2026-03-29 02:15:00", "2026-07-01 00:00:00"]
    moments = in_zone(pa.array([datetime.fromisoformat(text) for text in texts], pa.timestamp("us")), zone)
    sent = time_texts(moments.cast(pa.timestamp("us")), "Z").to_pylist()
    assert sent == [values.time(text, "", None, zone) for text in texts]
