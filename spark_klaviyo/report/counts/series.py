"""How rows, requests and refusals spread over time, in a bounded number of equal buckets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_BUCKETS = 120  # a plot shows no more, and a task's report stays small
LEAST_WIDTH = 0.25  # seconds: fine enough for a run of a second or two, and 120 of them are half a minute

Counts = tuple[int, int, int]


@dataclass
class Series:
    """Counts (rows, requests, throttled) in buckets of `width` seconds.

    Bucket `i` covers epoch seconds `i * width` to `(i + 1) * width`. Widths are powers of two and buckets are
    aligned to the epoch, so that two series always merge without splitting a bucket.
    """

    width: float = LEAST_WIDTH
    buckets: dict[int, Counts] = field(default_factory=dict)

    def add(self, at: float, rows: int = 0, requests: int = 0, throttled: int = 0) -> None:
        """Count something that happened at epoch second `at`."""
        self._put(int(at // self.width), (rows, requests, throttled))
        self._fit()

    def during(self, started: float, ended: float) -> Series:
        """The series from the start of its run to the end, where they are near and few enough buckets show that.

        A run of seconds is shown whole, also where it made one request. In a long one the wait for jobs would leave
        the sending no room, and a moment far off is that of another machine's clock.
        """
        whole = Series(self.width, dict(self.buckets))
        if self.buckets and 0 <= ended - started < MAX_BUCKETS * self.width:
            for moment in (started, ended):
                bucket = int(moment // self.width)
                if max(*self.buckets, bucket) - min(*self.buckets, bucket) < MAX_BUCKETS:
                    whole._put(bucket, (0, 0, 0))
        return whole

    def points(self) -> list[tuple[float, Counts]]:
        """(epoch second of its start, counts) of every bucket from first to last, empty ones included."""
        if not self.buckets:
            return []
        every = range(min(self.buckets), max(self.buckets) + 1)
        return [(i * self.width, self.buckets.get(i, (0, 0, 0))) for i in every]

    @staticmethod
    def merge(many: Iterable[Series]) -> Series:
        """The sum of several series, as wide as the widest."""
        several = list(many)
        merged = Series(max((series.width for series in several), default=LEAST_WIDTH))
        for series in several:
            for bucket, counts in series.buckets.items():
                merged._put(int(bucket * series.width // merged.width), counts)
        merged._fit()
        return merged

    def to_list(self) -> list[float]:
        """Width, then bucket, rows, requests, throttled of each bucket, flat."""
        return [self.width, *(n for bucket in sorted(self.buckets) for n in (bucket, *self.buckets[bucket]))]

    @staticmethod
    def from_list(flat: list[float]) -> Series:
        """The series that `to_list` wrote."""
        quads = zip(*(map(int, flat[start::4]) for start in (1, 2, 3, 4)), strict=True)
        return Series(flat[0], {bucket: (rows, requests, hits) for bucket, rows, requests, hits in quads})

    def _put(self, bucket: int, counts: Counts) -> None:
        held = self.buckets.get(bucket, (0, 0, 0))
        self.buckets[bucket] = (held[0] + counts[0], held[1] + counts[1], held[2] + counts[2])

    def _fit(self) -> None:
        while max(self.buckets, default=0) - min(self.buckets, default=0) >= MAX_BUCKETS:
            narrow, self.buckets = self.buckets, {}
            self.width *= 2
            for bucket, counts in narrow.items():
                self._put(bucket // 2, counts)
