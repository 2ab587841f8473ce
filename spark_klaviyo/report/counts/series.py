"""What happened over time: counts in a bounded number of equal buckets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_BUCKETS = 120  # as many as a plot shows, and few enough for the report of a task
SMALLEST_WIDTH = 0.25  # seconds: fine enough for a run of a second or two; 120 of them are half a minute

Counts = tuple[int, int, int]  # rows, requests, throttled replies
NOTHING = (0, 0, 0)


@dataclass
class Series:
    """Counts in buckets of `width` seconds; bucket `i` covers epoch seconds `i * width` to `(i + 1) * width`.

    Widths are `SMALLEST_WIDTH` times powers of two, so that two series always merge without splitting a bucket.
    """

    width: float = SMALLEST_WIDTH
    buckets: dict[int, Counts] = field(default_factory=dict)

    def add(self, at: float, rows: int = 0, requests: int = 0, throttled: int = 0) -> None:
        """Count what happened at epoch second `at`."""
        self._add_to(int(at // self.width), (rows, requests, throttled))
        self._widen()

    def during(self, started: float, ended: float) -> Series:
        """The series with empty buckets up to the start and the end of its run, where that takes few enough.

        So a run of seconds is shown whole, even if it made one request. A long run is not: waiting for jobs would leave
        no room for the requests. Nor is a time far off, which comes from another machine's clock.
        """
        whole = Series(self.width, dict(self.buckets))
        if self.buckets and 0 <= ended - started < MAX_BUCKETS * self.width:
            for time in (started, ended):
                bucket = int(time // self.width)
                if max(*self.buckets, bucket) - min(*self.buckets, bucket) < MAX_BUCKETS:
                    whole._add_to(bucket, NOTHING)
        return whole

    def points(self) -> list[tuple[float, Counts]]:
        """(epoch second of its start, counts) of every bucket from first to last, empty ones included."""
        if not self.buckets:
            return []
        covered = range(min(self.buckets), max(self.buckets) + 1)
        return [(bucket * self.width, self.buckets.get(bucket, NOTHING)) for bucket in covered]

    @staticmethod
    def merge(many: Iterable[Series]) -> Series:
        """The sum of several series, in buckets as wide as the widest."""
        several = list(many)
        merged = Series(max((series.width for series in several), default=SMALLEST_WIDTH))
        for series in several:
            for bucket, counts in series.buckets.items():
                merged._add_to(int(bucket * series.width // merged.width), counts)
        merged._widen()
        return merged

    def to_list(self) -> list[float]:
        """One flat list: the width, then bucket, rows, requests and throttled replies of each bucket."""
        return [self.width, *(n for bucket in sorted(self.buckets) for n in (bucket, *self.buckets[bucket]))]

    @staticmethod
    def from_list(flat: list[float]) -> Series:
        """The series that `to_list` wrote."""
        columns = (map(int, flat[start::4]) for start in (1, 2, 3, 4))
        return Series(flat[0], {bucket: (rows, sent, hits) for bucket, rows, sent, hits in zip(*columns, strict=True)})

    def _add_to(self, bucket: int, counts: Counts) -> None:
        rows, requests, throttled = self.buckets.get(bucket, NOTHING)
        self.buckets[bucket] = (rows + counts[0], requests + counts[1], throttled + counts[2])

    def _widen(self) -> None:
        while max(self.buckets, default=0) - min(self.buckets, default=0) >= MAX_BUCKETS:
            narrow, self.buckets = self.buckets, {}
            self.width *= 2
            for bucket, counts in narrow.items():
                self._add_to(bucket // 2, counts)
