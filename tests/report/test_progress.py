"""Progress of a running write: where it is shown, and what it says."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from spark_klaviyo.options.choices import Progress
from spark_klaviyo.report.counts.summary import Counters
from spark_klaviyo.report.progress import ProgressBar, ProgressLog, open_progress

HALF = Counters(rows=5_000, requests=5, throttled=1)


class Stream(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def visible(self) -> str:
        """What a terminal shows after all carriage returns."""
        line = ""
        for part in self.getvalue().split("\r"):
            line = part + line[len(part) :]
        return line.rstrip()


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("choice", "terminal", "shown"),
    [
        (Progress.AUTO, True, ProgressBar),
        (Progress.AUTO, False, type(None)),
        (Progress.ALWAYS, True, ProgressBar),
        (Progress.ALWAYS, False, ProgressLog),
        (Progress.NEVER, True, type(None)),
        (Progress.NEVER, False, type(None)),
    ],
)
def test_each_choice_shows_progress_where_it_says(choice: Progress, terminal: bool, shown: type) -> None:
    stream = Stream(terminal=terminal)
    display = open_progress(choice, stream=stream)
    assert type(display) is shown
    if display is not None:
        display.update(HALF, 0.97)
        display.close()
    assert bool(stream.getvalue()) == (display is not None)


def test_a_dumb_terminal_is_treated_like_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert open_progress(Progress.AUTO, stream=Stream(terminal=True)) is None


def test_the_bar_fills_and_shows_rows_rate_requests_quota_and_throttling() -> None:
    stream = Stream(terminal=True)
    display = ProgressBar(stream, total_rows=10_000)
    display.update(HALF, 0.97)
    shown = stream.visible()
    assert shown.startswith("klaviyo:  50%|█████")
    assert "| 5,000/10,000 rows [" in shown
    assert "/s, quota 97%, 1 throttled, 5 requests]" in shown
    display.update(Counters(rows=10_000, requests=10), None)
    assert stream.visible().startswith("klaviyo: 100%|██████████| 10,000/10,000 rows [")
    assert "quota" not in stream.visible()
    display.close()


def test_without_a_known_total_there_are_numbers_and_no_bar() -> None:
    stream = Stream(terminal=True)
    display = ProgressBar(stream)
    display.update(HALF, None)
    assert stream.visible().startswith("klaviyo: 5,000 rows [00:0")
    assert "%" not in stream.visible()
    display.close()


def test_numbers_that_stay_are_shown_again_with_new_details() -> None:
    stream = Stream(terminal=True)
    display = ProgressBar(stream)
    display.update(HALF, 0.5)
    display.update(Counters(rows=5_000, requests=5, throttled=2), 0.6)
    assert "quota 60%, 2 throttled, 5 requests]" in stream.visible()
    display.close()


@pytest.mark.parametrize(("columns", "shown"), [("80", "/s, quota 97%"), ("40", "5,000/10,000"), ("10", "klaviyo:")])
def test_a_narrow_terminal_cuts_details_off(columns: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    stream = Stream(terminal=True)
    display = ProgressBar(stream, total_rows=10_000)
    display.update(HALF, 0.97)
    assert len(stream.visible()) < int(columns)
    assert shown in stream.visible()
    display.close()


def test_the_bar_goes_away_at_the_end() -> None:
    stream = Stream(terminal=True)
    display = ProgressBar(stream)
    display.update(HALF, 0.97)
    display.close()
    assert stream.visible() == ""


def test_a_terminal_that_knows_no_unicode_gets_plain_characters() -> None:
    stream = Stream(terminal=True, encoding="ascii")
    display = ProgressBar(stream, total_rows=10_000)
    display.update(HALF, None)
    assert stream.getvalue().isascii()
    assert "klaviyo:  50%|#####     |" in stream.visible()
    display.close()


def test_a_log_gets_a_line_every_half_minute_and_one_at_the_end() -> None:
    stream, clock = Stream(terminal=False), Clock()
    display = ProgressLog(stream, clock)
    for second in range(1, 70):
        clock.now = 100.0 + second
        display.update(Counters(rows=second * 10, requests=second), 0.1)
    display.close()
    assert stream.getvalue().splitlines() == [
        "klaviyo: 300 rows, 30 s, 10 rows/s, quota 10%, 30 requests",
        "klaviyo: 600 rows, 1 min, 10 rows/s, quota 10%, 60 requests",
        "klaviyo: 690 rows, 1 min 9 s, 10 rows/s, quota 10%, 69 requests",
    ]


KERNEL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
from spark_klaviyo.options.choices import Progress
from spark_klaviyo.report.counts.summary import Counters
from spark_klaviyo.report.progress import open_progress
assert open_progress(Progress.AUTO) is None
import ipykernel.zmqshell
shell.kernel = "a kernel"
sys.modules["ipywidgets"] = None
display = open_progress(Progress.AUTO)
display.update(Counters(rows=700, requests=7), None)
display.close()
"""


def test_a_notebook_without_widgets_gets_text_and_no_warning() -> None:
    pytest.importorskip("ipykernel")
    done = subprocess.run([sys.executable, "-c", KERNEL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "klaviyo: 700 rows [" in done.stderr
    assert "Warning" not in done.stderr


def test_the_jobs_that_a_write_waits_for_are_shown() -> None:
    terminal, log = Stream(terminal=True), Stream(terminal=False)
    for display in (ProgressBar(terminal), ProgressLog(log)):
        display.update(HALF, 0.1, open_jobs=3)
        display.close()
    assert "waiting for 3 jobs" in terminal.getvalue()
    assert "waiting for 3 jobs" in log.getvalue()
