"""Progress of a running write: a line on a terminal, a bar in a notebook, nothing in logs and pipes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from typing import Protocol, TextIO

from spark_klaviyo.options.choices import Progress as Choice
from spark_klaviyo.report.pages.css import STYLE
from spark_klaviyo.report.pages.html import Markup, element, join
from spark_klaviyo.report.rate import Pulse, Snapshot, line

Show = Callable[[str], None]  # draws HTML in one place of the notebook, in place of what stood there
LOG_SECONDS = 30.0


class Progress(Protocol):
    """Follows a running write. `update` may be called as often as one likes, from one thread."""

    def update(self, snapshot: Snapshot) -> None:
        """Show where the write stands."""

    def done(self, report: object | None) -> None:
        """Take the bar away; a report's sentence, which is its text, takes the bar's place."""


class Silent:
    """Shows nothing."""

    def update(self, snapshot: Snapshot) -> None:
        """Show nothing."""

    def done(self, report: object | None) -> None:
        """Show nothing."""


class TerminalProgress:
    """One line, written over and over."""

    def __init__(self, stream: TextIO, columns: int | None = None) -> None:
        self._stream = stream
        self._columns = columns
        self._pulse = Pulse()
        self._shown = 0
        self._plain = "utf" not in (stream.encoding or "").lower()

    def update(self, snapshot: Snapshot) -> None:
        """Write the line anew."""
        self._pulse.beat(snapshot)
        columns = (self._columns or shutil.get_terminal_size().columns) - 1  # a full line would wrap
        self._write(line(self._pulse, columns, plain=self._plain))

    def done(self, report: object | None) -> None:
        """Clear the line, and write the report's sentence where it stood."""
        self._write("")
        self._stream.write(f"\r{report}\n" if report is not None else "\r")
        self._stream.flush()

    def _write(self, text: str) -> None:
        self._stream.write("\r" + text + " " * (self._shown - len(text)))  # blanks: not every terminal knows escapes
        self._shown = len(text)
        self._stream.flush()


class LoggedProgress:
    """A line every half minute, for `progress=true` where nothing can be written over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pulse = Pulse()
        self._last = 0.0

    def update(self, snapshot: Snapshot) -> None:
        """Write a line if the last is old enough."""
        self._pulse.beat(snapshot)
        if snapshot.seconds - self._last >= LOG_SECONDS:
            self._last = snapshot.seconds
            self._stream.write(f"klaviyo: {', '.join(self._pulse.parts())}\n")
            self._stream.flush()

    def done(self, report: object | None) -> None:
        """Write the report's sentence."""
        if report is not None:
            self._stream.write(f"klaviyo: {report}\n")
            self._stream.flush()


class NotebookProgress:
    """A bar drawn in place in a notebook's output."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._pulse = Pulse()

    def update(self, snapshot: Snapshot) -> None:
        """Draw the bar anew."""
        self._pulse.beat(snapshot)
        self._show(progress_html(self._pulse))

    def done(self, report: object | None) -> None:
        """Put the report's sentence in the bar's place, or nothing."""
        self._show(_framed(element("p", report, kind="dim")) if report is not None else "")


def progress_html(pulse: Pulse) -> Markup:
    """The bar as HTML."""
    done = pulse.now.done
    percent = 100 * done if done is not None else 0.0
    role = f'role="progressbar" aria-label="Rows written to Klaviyo" aria-valuenow="{percent:.0f}"'
    filled = Markup(f'<i style="--tone:var(--delivered);flex:0 0 {percent:.1f}%"></i>')
    track = element("div", filled, kind="bar", more=role) if done is not None else ""
    first, *rest = pulse.parts()
    legend = element("ul", element("li", element("b", first)), *(element("li", part) for part in rest), kind="legend")
    return _framed(track, legend)


def _framed(*inside: object) -> Markup:
    return join([Markup(f"<style>{STYLE}</style>"), element("div", *inside, kind="sk slim")])


def progress(mode: Choice = Choice.AUTO, *, stream: TextIO | None = None, show: Show | None = None) -> Progress:
    """The progress that suits the place: a notebook's bar, a terminal's line, or nothing (`ALWAYS`: log lines).

    `stream` is standard error unless given; `show` draws in a notebook, found through IPython unless given.
    """
    out = stream or sys.stderr
    if mode is Choice.NEVER:
        return Silent()
    show = show or notebook()
    if show is not None:
        return NotebookProgress(show)
    if out.isatty() and os.environ.get("TERM") != "dumb":
        return TerminalProgress(out)
    return LoggedProgress(out) if mode is Choice.ALWAYS else Silent()


def notebook() -> Show | None:
    """What draws in the notebook that this process is the kernel of; None anywhere else."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)
    return (lambda markup: handle.update(HTML(markup))) if handle is not None else None
