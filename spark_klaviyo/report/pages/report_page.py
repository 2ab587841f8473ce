"""What the page of a report shows besides its counts: how the write ended, and the run over time.

To add a plot, write a function that returns a `Plot`, values of the template `plot.html`, and name it in `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spark_klaviyo.core.policy import Quota
from spark_klaviyo.report.counts.summary import Series, Summary
from spark_klaviyo.report.counts.text import counted


def pill(summary: Summary) -> dict[str, str]:
    """How the write ended, in a word or two and as a tone."""
    if summary.stopped:
        return {"tone": "bad", "text": "Stopped"}
    if summary.rejected:
        return {"tone": "warn", "text": "Done, with rejected rows"}
    return {"tone": "good", "text": "Done"} if summary.rows else {"tone": "dim", "text": "Nothing to send"}


# --- plots over the time of the run ---------------------------------------------------------------


@dataclass(frozen=True)
class Plot:
    """Values in equal steps of time, `seconds` in all, and the words around them.

    `limit_value` is drawn as a dashed line, `throttled_at` (shares of the time, 0 to 1) as marks at the bottom.
    """

    caption: str
    summary: str
    tone: str
    values: Sequence[float]
    seconds: float
    limit_value: float | None = None
    throttled_at: Sequence[float] = ()
    width: int = 1000  # of the drawing, which is stretched to the width of the page
    height: int = 100

    @property
    def top(self) -> float:
        """Where the vertical axis ends."""
        return axis_end(max([*self.values, self.limit_value or 0, 1]))

    @property
    def levels(self) -> list[str]:
        """The labels of the vertical axis, from top to bottom."""
        return [f"{level:,.0f}" if level >= 10 else f"{level:g}" for level in (self.top, self.top / 2, 0)]

    @property
    def edge(self) -> str:
        """The SVG path of the values, as steps."""
        step = self.width / len(self.values)
        steps = [f"{at * step:.1f} {self.y(value)}H{(at + 1) * step:.1f}" for at, value in enumerate(self.values)]
        return f"M{'L'.join(steps)}"

    def y(self, value: float) -> str:
        """The height of a value in the drawing."""
        return f"{self.height * (1 - value / self.top):.1f}"


def plots(summary: Summary, quota: Quota) -> list[Plot]:
    """The plots of a run; none where no request was made."""
    if not summary.series.buckets:
        return []
    series = summary.series.during(summary.started, summary.ended)
    return [throughput(series), quota_use(series, quota)]


def throughput(series: Series) -> Plot:
    """Rows a second over time."""
    rates = [rows / series.width for _, (rows, _, _) in series.points()]
    summary = f"at most {max(rates):,.0f} rows a second"
    return Plot("Rows a second, when they were taken", summary, "delivered", rates, len(rates) * series.width)


def quota_use(series: Series, quota: Quota) -> Plot:
    """Requests in the binding window up to each point of time, against its limit."""
    limit, window = binding_window(series, quota)
    points = series.points()
    buckets = max(round(window / series.width), 1)
    scale = window / (buckets * series.width)  # buckets wider than the window stand for their mean
    requests = [count for _, (_, count, _) in points]
    sums = [sum(requests[max(at + 1 - buckets, 0) : at + 1]) * scale for at in range(len(points))]
    throttled = [(at + 0.5) / len(points) for at, (_, (_, _, count)) in enumerate(points) if count]
    caption = f"Requests in the last {window:,.0f} s" if window > 1 else "Requests a second"
    caption += f", of {limit:,} that the account allows (dashed)" if limit else ""
    replies = counted(sum(count for _, (_, _, count) in points), "429 reply", "429 replies")
    summary = f"{caption}; at most {max(sums):,.0f}, with {replies}"
    return Plot(caption, summary, "accepted", sums, len(points) * series.width, limit or None, throttled)


def binding_window(series: Series, quota: Quota) -> tuple[int, float]:
    """The (requests, seconds) of the longest window that a run of this length can fill; (0, 60) without a quota."""
    longest = max(60.0, float(len(series.points()) * series.width))
    filled = [window for window in quota.windows if window[1] <= longest] or quota.windows[:1]
    return max(filled, key=lambda window: window[1], default=(0, 60.0))


def axis_end(highest: float) -> float:
    """The least round number that is not below `highest`, which is at least 1."""
    scale = 10.0 ** (len(str(int(highest))) - 1)
    return next(step * scale for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10, 20) if step * scale >= highest)
