"""The counters of a write, each defined once, with its meaning.

Tasks count into them; reports, the progress bar and the runs dataset show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from spark_klaviyo.core.codes import Outcome


def _counter(text: str) -> int:
    return field(default=0, metadata={"text": text})


@dataclass(kw_only=True)
class Counters:
    """Numbers of rows, requests and bytes; `COUNTERS` holds their meanings.

    `rows == delivered + accepted + rejected + skipped + unsent` once a task has ended.
    """

    rows: int = _counter("rows read")
    delivered: int = _counter(Outcome.DELIVERED.text)
    accepted: int = _counter(Outcome.ACCEPTED.text)
    rejected: int = _counter(Outcome.REJECTED.text)
    skipped: int = _counter(Outcome.SKIPPED.text)
    unsent: int = _counter(Outcome.UNSENT.text)
    requests: int = _counter("requests, each counted once however often it was tried")
    retries: int = _counter("further attempts of requests, throttled ones not counted")
    throttled: int = _counter("replies with status 429")
    resent: int = _counter("rows that may have arrived twice")
    bytes: int = _counter("bytes of request bodies")
    removed: int = _counter("members that a mirror took off the list; they are not rows")

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """The number of rows with each outcome."""
        return {outcome: getattr(self, outcome) for outcome in Outcome}

    def adds_up(self) -> bool:
        """Whether every row read has exactly one outcome."""
        return self.rows == sum(self.outcomes.values())


COUNTERS: dict[str, str] = {counter.name: counter.metadata["text"] for counter in fields(Counters)}
