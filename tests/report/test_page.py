"""The page of a write: whole, self-contained, escaped, and without a person in it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.policy import Quota
from spark_klaviyo.report.counts.summary import Series
from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.report.pages.preview import Preview, PreviewRejection
from spark_klaviyo.report.pages.report_page import axis_end, binding_window, quota_use, throughput
from spark_klaviyo.report.report import WriteReport

VOID = {"meta", "link"}


class Reader(HTMLParser):
    """Collects the text, the elements left open, and every attribute that could load something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.open, self.loads = "", list[str](), list[str | None]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in VOID else [tag]
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.open[-1:] == ["style"] else data + " "


def test_the_page_shows_every_count_reason_status_and_next_step(report: WriteReport) -> None:
    text = Reader(report.to_html()).text
    for shown in ("389,530", "388,000", "bad_email", "3: 0, 3: 1", "Too Many Requests", "1 retry, 10 throttled",
                  "follow_klaviyo(receipts)", "the job was not finished in time", "req-0399", "job-2", "run-1",
                  "Requests in the last 60 s, of 150", "a phone was <dropped>"):  # fmt: skip
        assert shown in text


def test_the_page_is_well_formed_loads_nothing_and_names_no_person(report: WriteReport, person: str) -> None:
    html = report.to_html()
    page = Reader(html)
    assert page.open == []
    assert page.loads == ["data:,"]
    assert re.search(r"url\(|@import|<script|https?:", html) is None
    assert person not in html


def test_a_notebook_gets_the_same_content_without_the_document_around_it(report: WriteReport) -> None:
    fragment = report._repr_html_()
    assert "<html" not in fragment
    assert fragment in report.to_html()


def test_every_style_is_confined_to_the_page() -> None:
    style = re.sub(r"/\*.*?\*/", "", WriteReport("r", "t")._repr_html_().split("</style>")[0], flags=re.DOTALL)
    rules = re.sub(r"@(media|container)[^{]*\{", "", style.removeprefix("<style>"))
    selectors = [one.strip() for rule in re.findall(r"([^{}]+)\{", rules) for one in rule.split(",") if one.strip()]
    assert len(selectors) > 50
    assert all(selector.startswith(".sk") for selector in selectors)


@pytest.mark.parametrize(
    ("changes", "pill"),
    [
        ({}, "Nothing to send"),
        ({"rows": 2, "delivered": 2}, "Done"),
        ({"rows": 2, "rejected": 2}, "Done, with rejected rows"),
        ({"rows": 2, "unsent": 2, "stopped": ("key_refused", "Klaviyo refuses this key")}, "Stopped"),
    ],
)
def test_the_page_opens_with_how_it_ended(changes: dict[str, object], pill: str) -> None:
    report = WriteReport("run-1", "t", **changes)  # type: ignore[arg-type]
    assert f">{pill}</span>" in report.to_html()


@given(st.text())
def test_any_text_comes_through_every_page_as_text(text: str) -> None:
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)
    for page in (
        WriteReport(text, text, warnings={text: 1}),
        Preview(text, rejected=(PreviewRejection(0, text, text),)),
        CheckResult((CheckLine(text, True, text),)),
    ):
        reader = Reader(page.to_html())
        assert reader.open == []
        assert reader.loads == ["data:,"]
        assert shown in reader.text


def test_hostile_texts_are_escaped_wherever_they_stand() -> None:
    evil = '<img src=x onerror=alert(1)>"\x00\x1b'
    report = WriteReport(
        evil, evil, rows=3, rejected=1, accepted=1, unsent=1, reasons={evil: 1}, examples={evil: [(0, 1)]},
        accepted_because={evil: 1}, warnings={evil: 1}, job_states={evil: 1}, stopped=(evil, evil),
    )  # fmt: skip
    html = report.to_html()
    assert "<img" not in html
    assert "\x1b" not in html
    assert Reader(html).loads == ["data:,"]


def test_names_between_backticks_are_code_and_control_characters_are_dropped() -> None:
    html = Preview("t", warnings=("see `<b>` and `x`\x00\x1b[31m",)).to_html()
    assert "see <code>&lt;b&gt;</code> and <code>x</code>[31m" in html


def test_a_run_of_two_seconds_has_its_plots_and_one_without_requests_has_none(report: WriteReport) -> None:
    short = Series()
    short.add(101.3, 6, 1)
    html = replace(report, series=short, started=100.0, ended=102.4).to_html()
    assert html.count("<svg") == 2
    assert "at most 24 rows a second" in html
    assert "<span>2.5 s</span>" in html
    assert "<svg" not in replace(report, series=Series()).to_html()


def test_the_quota_plot_sums_the_requests_of_the_binding_window() -> None:
    quota = Quota(((10, 1.0), (150, 60.0), (100_000, 86_400.0)))
    series = Series(1, {second: (100, 2, int(second == 50)) for second in range(100)})
    curve = quota_use(series, quota)
    assert binding_window(series, quota) == (150, 60.0)
    assert (curve.limit_value, curve.values[0], curve.values[58], curve.values[99]) == (150.0, 2, 118, 120)
    assert curve.throttled_at == [0.505]
    assert throughput(series).values == [100.0] * 100


def test_buckets_wider_than_the_window_show_their_mean() -> None:
    series = Series(128, {0: (1, 256, 0), 1: (1, 128, 0)})
    assert quota_use(series, Quota(((150, 60.0),))).values == [120.0, 60.0]


@given(st.floats(1, 1e12))
def test_an_axis_ends_at_a_round_number_just_above_the_highest_value(top: float) -> None:
    assert top <= axis_end(top) <= 2 * top
