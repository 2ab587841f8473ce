"""Numbers, sizes, durations, times and tallies as a person writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `12,000 rows`; `plural` where it is not the noun with an `s`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: float) -> str:
    """Bytes in decimal units, as Klaviyo counts them: `512 bytes`, `4.9 MB`."""
    if number < 1000:
        return counted(int(number), "byte")
    units = ((1e3, "kB"), (1e6, "MB"), (1e9, "GB"))
    scale, unit = next((pair for pair in units if number < 999.5 * pair[0]), units[-1])
    scaled = number / scale
    return f"{scaled:,.1f} {unit}" if scaled < 99.95 else f"{scaled:,.0f} {unit}"


def duration(seconds: float) -> str:
    """`2.1 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole // 60, "min", whole % 60, "s")
    return _two_units(whole // 3600, "h", whole % 3600 // 60, "min")


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large:,} {large_unit} {small} {small_unit}" if small else f"{large:,} {large_unit}"


def share(part: float, whole: float) -> str:
    """A percentage that never rounds to all or nothing: `< 0.1 %`, `99.9 %`."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0.0, 100.0) else f"{percent:.1f} %"


def listed(tally: Mapping[str, int], most: int = 4) -> str:
    """`3 bad_email, 1 no_identifier`, the largest first, what exceeds `most` summed up."""
    ranked = sorted(tally.items(), key=lambda pair: -pair[1])
    rest = sum(times for _, times in ranked[most:])
    shown = [f"{times:,} {name}" for name, times in ranked[:most]]
    return ", ".join([*shown, f"{rest:,} for other reasons"] if rest else shown)


def utc(epoch_seconds: float) -> str | None:
    """`2025-10-09T08:53:20.000Z`; None for 0, which stands for no time."""
    if not epoch_seconds:
        return None
    return datetime.fromtimestamp(epoch_seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
