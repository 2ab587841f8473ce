"""Plots over time as inline SVG; all lettering is HTML around it, so that it stays legible at any width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spark_klaviyo.core.models import Quota
from spark_klaviyo.report.pages.html import Markup, element, safe
from spark_klaviyo.report.series import Series
from spark_klaviyo.report.text import duration

WIDTH, HEIGHT = 1000, 100  # of the drawing; stretched to whatever room there is


@dataclass(frozen=True)
class Curve:
    """Values in equal steps of time, `seconds` in all; `limit` is drawn as a dashed line, `hits` are (place 0..1)."""

    values: Sequence[float]
    seconds: float
    tone: str
    limit: float | None = None
    hits: Sequence[float] = ()


def nice(top: float) -> float:
    """The least round number that is not below `top`, which is at least 1."""
    scale = 10.0 ** (len(str(int(top))) - 1)
    return next(step * scale for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10, 20) if step * scale >= top)


def plot(caption: object, curve: Curve, summary: str) -> Markup:
    """A figure with axes. `summary` says in words what the drawing shows."""
    top = nice(max([*curve.values, curve.limit or 0, 1]))
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
    drawing = f'<svg {box} role="img" aria-label="{safe(summary)}">'
    drawing += "".join([*_grid(), *_steps(curve, top), *_limit(curve, top), *_hits(curve.hits)]) + "</svg>"
    levels = (top, top / 2, 0)
    y = element("div", *(element("span", f"{n:,.0f}" if n >= 10 else f"{n:g}") for n in levels), kind="y")
    times = (0.0, curve.seconds / 2, curve.seconds)
    x = element("div", *(element("span", duration(time) if time else "0") for time in times), kind="x")
    return element(
        "figure", element("figcaption", caption), element("div", y, Markup(drawing), x, kind="plot", tone=curve.tone)
    )


def _grid() -> Iterable[str]:
    return (f'<path class="axis" d="M0 {y}H{WIDTH}"/>' for y in (0, HEIGHT / 2, HEIGHT))


def _steps(curve: Curve, top: float) -> Iterable[str]:
    step = WIDTH / len(curve.values)
    heights = [HEIGHT * (1 - value / top) for value in curve.values]
    runs = [f"{at * step:.1f} {y:.1f}H{(at + 1) * step:.1f}" for at, y in enumerate(heights)]
    edge = f"M{'L'.join(runs)}"
    yield f'<path class="area" d="{edge}V{HEIGHT}H0Z"/>'
    yield f'<path class="edge" d="{edge}"/>'


def _limit(curve: Curve, top: float) -> Iterable[str]:
    if curve.limit is not None:
        yield f'<path class="limit" d="M0 {HEIGHT * (1 - curve.limit / top):.1f}H{WIDTH}"/>'


def _hits(places: Iterable[float]) -> Iterable[str]:
    return (f'<path class="hit" d="M{place * WIDTH:.1f} {HEIGHT}V{HEIGHT - 12}"/>' for place in places)


def throughput(series: Series) -> Curve:
    """Rows a second over time."""
    rows = [counts[0] / series.width for _, counts in series.points()]
    return Curve(rows, len(rows) * series.width, "delivered")


def binding(series: Series, quota: Quota) -> tuple[int, float]:
    """The (requests, seconds) of the longest window that a run of this length can fill; (0, 60) without a quota."""
    longest = max(60.0, float(len(series.points()) * series.width))
    filled = [window for window in quota.windows if window[1] <= longest] or quota.windows[:1]
    return max(filled, key=lambda window: window[1], default=(0, 60.0))


def quota_use(series: Series, quota: Quota) -> Curve:
    """Requests in the binding window up to each moment, against its limit."""
    most, window = binding(series, quota)
    points = series.points()
    spans = max(round(window / series.width), 1)
    counts = [requests for _, (_, requests, _) in points]
    scale = window / (spans * series.width)  # buckets wider than the window stand for their mean
    sums = [sum(counts[max(at + 1 - spans, 0) : at + 1]) * scale for at in range(len(counts))]
    hits = [(at + 0.5) / len(points) for at, (_, (_, _, throttled)) in enumerate(points) if throttled]
    return Curve(sums, len(points) * series.width, "accepted", float(most) if most else None, hits)
