"""The bar of a running write: where it shows, what it says, and where it keeps quiet."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.options.choices import Progress
from spark_klaviyo.report.progress import TerminalProgress, progress
from spark_klaviyo.report.rate import Pulse, Snapshot, bar, line

HALF = Snapshot(5_000, 5, 25_000, 1, 10_000, 0.97, 10.0)


class Screen(io.StringIO):
    """A stream that may be a terminal; `encoding` as given."""

    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def lines(self) -> list[str]:
        """What stands on each line after all returns of the carriage."""
        shown = []
        for text in self.getvalue().split("\n"):
            drawn = ""
            for part in text.split("\r"):
                drawn = part + drawn[len(part) :]
            shown.append(drawn.rstrip())
        return shown


def test_a_terminal_shows_one_line_with_rows_time_left_rate_requests_and_quota() -> None:
    screen = Screen(terminal=True)
    TerminalProgress(screen, columns=140).update(HALF)
    (shown,) = screen.lines()
    assert shown == (
        "klaviyo ━━━━━━━━━━━━────────────  50%  5,000 of 10,000 rows · 10 s left · 500 rows/s · 5 requests · "
        "quota 97% · 1 throttled"
    )


def test_the_report_takes_the_place_of_the_line() -> None:
    screen = Screen(terminal=True)
    shown = progress(Progress.AUTO, stream=screen)
    shown.update(HALF)
    shown.update(Snapshot(9_000, 9, seconds=20.0))
    shown.done("9,000 rows: 9,000 delivered")
    assert screen.lines() == ["9,000 rows: 9,000 delivered", ""]


def test_a_write_that_raised_leaves_a_clean_line() -> None:
    screen = Screen(terminal=True)
    shown = progress(Progress.AUTO, stream=screen)
    shown.update(HALF)
    shown.done(None)
    assert screen.lines() == [""]


@pytest.mark.parametrize(("mode", "terminal"), [(Progress.AUTO, False), (Progress.NEVER, True)])
def test_logs_and_pipes_and_those_who_asked_for_it_get_silence(mode: Progress, terminal: bool) -> None:
    screen = Screen(terminal)
    shown = progress(mode, stream=screen)
    shown.update(HALF)
    shown.done("done")
    assert screen.getvalue() == ""


def test_a_pipe_gets_a_line_every_half_minute_when_progress_is_asked_for() -> None:
    screen = Screen(terminal=False)
    shown = progress(Progress.ALWAYS, stream=screen)
    for second in range(1, 70):
        shown.update(Snapshot(second * 10, second, seconds=float(second)))
    shown.done("690 rows: 690 delivered")
    assert screen.lines() == [
        "klaviyo: 300 rows, 30 s, 10 rows/s, 30 requests",
        "klaviyo: 600 rows, 1 min, 10 rows/s, 60 requests",
        "klaviyo: 690 rows: 690 delivered",
        "",
    ]


def test_a_terminal_that_knows_no_unicode_gets_plain_characters() -> None:
    screen = Screen(terminal=True, encoding="ascii")
    TerminalProgress(screen, columns=100).update(HALF)
    assert screen.getvalue().isascii()
    assert "############............  50%" in screen.getvalue()


def test_a_notebook_shows_a_bar_in_one_place_and_then_the_sentence() -> None:
    drawn: list[str] = []
    shown = progress(Progress.AUTO, stream=Screen(terminal=True), show=drawn.append)
    shown.update(HALF)
    shown.done("10,000 rows: <all> delivered")
    assert 'aria-valuenow="50"' in drawn[0]
    assert "5,000 of 10,000 rows" in drawn[0]
    assert "10,000 rows: &lt;all&gt; delivered" in drawn[1]
    assert "progressbar" not in drawn[1]


def test_without_a_known_total_there_is_no_bar_and_no_time_left() -> None:
    drawn: list[str] = []
    progress(Progress.ALWAYS, show=drawn.append).update(Snapshot(700, 7, seconds=7.0))
    assert "progressbar" not in drawn[0]
    assert " left<" not in drawn[0]
    assert "100 rows/s" in drawn[0]


def test_the_rate_is_that_of_the_last_minute() -> None:
    pulse = Pulse()
    for second in range(1, 301):
        pulse.beat(Snapshot(min(second, 200) * 100, seconds=float(second), rows_total=40_000))
    assert (pulse.rate, pulse.seconds_left) == (0.0, None)
    pulse.beat(Snapshot(26_000, seconds=301.0, rows_total=40_000))
    assert (pulse.rate, pulse.seconds_left) == (100.0, 140.0)
    assert len(pulse.recent) < 70


@given(st.builds(Snapshot, *[st.integers(0, 10**9)] * 4, st.none() | st.integers(0, 10**9),
                 st.none() | st.floats(0, 1), st.floats(0, 1e6)), st.integers(10, 200), st.booleans())  # fmt: skip
def test_a_line_never_exceeds_the_terminal(snapshot: Snapshot, columns: int, plain: bool) -> None:
    pulse = Pulse()
    pulse.beat(snapshot)
    assert len(line(pulse, columns, plain=plain)) <= columns


def test_a_narrow_terminal_drops_parts_not_digits() -> None:
    pulse = Pulse()
    pulse.beat(HALF)
    assert line(pulse, 40) == "klaviyo  50%  5,000 of 10,000 rows"
    assert line(pulse, 30) == " 50%  5,000 of 10,000 rows"
    assert line(pulse, 10) == " 50%"


def test_a_bar_is_full_only_at_the_end() -> None:
    assert [bar(done, "#", ".", 4) for done in (0.0, 0.5, 0.99, 1.0)] == ["....", "##..", "###.", "####"]


KERNEL = """
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
from spark_klaviyo.report.progress import Silent, notebook, progress
from spark_klaviyo.options.choices import Progress
from spark_klaviyo.report.rate import Snapshot
assert notebook() is None and isinstance(progress(Progress.AUTO), Silent)
shell.kernel = "a kernel"
with capture_output() as captured:
    shown = progress(Progress.AUTO)
    shown.update(Snapshot(700, 7, seconds=7.0))
    shown.done("700 rows: 700 delivered")
print(*(output.data["text/html"].rpartition("</style>")[2] for output in captured.outputs), sep="\\n")
"""


def test_ipython_displays_the_bar_only_where_it_is_a_kernel() -> None:
    pytest.importorskip("IPython")
    done = subprocess.run([sys.executable, "-c", KERNEL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, bar_shown, sentence = done.stdout.splitlines()
    assert (first, "700 rows" in bar_shown) == ("", True)
    assert "700 rows: 700 delivered" in sentence
