"""Progress of a running write: a tqdm bar on a terminal or in a notebook, lines of a log elsewhere.

It shows counters that it is given; it knows neither tasks nor threads.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from typing import TextIO, TypeAlias

from spark_klaviyo.options.choices import Progress
from spark_klaviyo.report.counts.summary import Counters
from spark_klaviyo.report.counts.text import counted, duration

LOG_SECONDS = 30.0
MOST_LABEL = 40
COUNT_FORMAT = "{desc}: {n:,} rows [{elapsed}, {rate_noinv_fmt}{postfix}]"
BAR_FORMAT = (
    "{desc}: {percentage:3.0f}%|{bar:10}| {n:,}/{total:,} rows [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
)


class ProgressBar:
    """A bar of tqdm, which goes away at the end. Without a known total it shows numbers and no bar."""

    def __init__(self, stream: TextIO, total_rows: int | None = None, target: str = "") -> None:
        # Imported here because it takes half as long as the rest of this package, and most processes show no progress.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a notebook without ipywidgets gets text, which needs no warning
            from tqdm.auto import tqdm

        # A notebook gives the width; of terminals tqdm would draw nothing where they do not tell their size.
        columns, lines = shutil.get_terminal_size()
        width = {"dynamic_ncols": True} if in_notebook() else {"ncols": columns - 1, "nrows": lines}
        self._bar = tqdm(
            total=total_rows,
            desc=_label(target),
            bar_format=BAR_FORMAT if total_rows else COUNT_FORMAT,
            unit="",
            unit_scale=True,
            file=stream,
            **width,
            leave=False,
            mininterval=0,  # the caller decides how often
            miniters=1,
        )

    def update(self, counters: Counters, quota_used: float | None, open_jobs: int = 0) -> None:
        """Draw the bar again; `quota_used` is the share of the account's quota in use, None where there is none."""
        self._bar.set_postfix_str(", ".join(_details(counters, quota_used, open_jobs)), refresh=False)
        more_rows = counters.rows - self._bar.n
        if more_rows > 0:
            self._bar.update(more_rows)
        else:  # as tqdm updates its rate with rows alone
            self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


class ProgressLog:
    """A line every `LOG_SECONDS`, and one at the end."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, target: str = "") -> None:
        self._stream, self._clock, self._label = stream, clock, _label(target)
        self._started = self._written = clock()
        self._line = ""

    def update(self, counters: Counters, quota_used: float | None, open_jobs: int = 0) -> None:
        """Write a line if the last one is old enough."""
        now = self._clock()
        seconds = now - self._started
        rate = f"{counters.rows / seconds if seconds else 0:,.0f} rows/s"
        details = ", ".join([duration(seconds), rate, *_details(counters, quota_used, open_jobs)])
        self._line = f"{self._label}: {counted(counters.rows, 'row')}, {details}\n"
        if now - self._written >= LOG_SECONDS:
            self._written = now
            self._write()

    def close(self) -> None:
        """Write the last counters, unless they are written."""
        self._write()

    def _write(self) -> None:
        if self._line:
            self._stream.write(self._line)
            self._stream.flush()
        self._line = ""


ProgressDisplay: TypeAlias = ProgressBar | ProgressLog  # only one thread may call it


def open_progress(
    choice: Progress,
    known_rows: Callable[[], int | None] = lambda: None,
    target: str = "",
    stream: TextIO | None = None,
) -> ProgressDisplay | None:
    """Where progress is to be shown; None where it is not.

    Args:
        choice: The option `progress`.
        known_rows: Finds the number of rows to be written, or None; asked only where a bar is shown.
        target: The account and list, as far as they are known.
        stream: Standard error unless given.
    """
    stream = stream or sys.stderr
    if choice is Progress.NEVER:
        return None
    if in_notebook() or (stream.isatty() and os.environ.get("TERM") != "dumb"):
        return ProgressBar(stream, known_rows(), target)
    return ProgressLog(stream, target=target) if choice is Progress.ALWAYS else None


def _label(target: str) -> str:
    """What stands before the numbers, cut so that these keep their place on a narrow terminal."""
    shown = target if len(target) <= MOST_LABEL else target[: MOST_LABEL - 1] + "\u2026"
    return f"klaviyo, {shown}" if shown else "klaviyo"


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _details(counters: Counters, quota_used: float | None, open_jobs: int) -> list[str]:
    """The most wanted first, as a narrow terminal cuts the rest off."""
    details = [f"waiting for {counted(open_jobs, 'job')}"] if open_jobs else []
    details += [f"quota {quota_used:.0%}"] if quota_used is not None else []
    details += [f"{counters.throttled:,} throttled"] if counters.throttled else []
    return [*details, counted(counters.requests, "request")]
