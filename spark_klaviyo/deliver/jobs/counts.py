"""What an ended job counts, and whether that says of each of its rows what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spark_klaviyo.deliver.jobs.errors import Failures

UNNAMED = "their job says that some rows failed or were skipped, without naming them"
UNCOUNTED = "their job is complete, and its counts do not account for all of its rows"


@dataclass(frozen=True)
class Counts:
    """The counts of a job's attributes; None where one is not told. `strange`: one is told and is no whole number."""

    total: int | None = None
    completed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    strange: bool = False

    @staticmethod
    def of(attributes: Mapping[str, object]) -> Counts:
        """Read them; digits in a text are a number, too."""
        told = {name: attributes.get(f"{name}_count") for name in ("total", "completed", "failed", "skipped")}
        whole = {name: _whole(value) for name, value in told.items()}
        return Counts(**whole, strange=any(told[name] is not None and whole[name] is None for name in told))

    def doubt(self, rows: int, found: Failures, *, complete: bool) -> str:
        """Why the rows that no error named cannot be called delivered; empty where they can.

        `complete`: whether the family's counts of what was done mean anything (those of suppressions do not).
        """
        told_of = found.named + found.gone
        failed = told_of + found.nameless if self.failed is None else self.failed
        if failed > told_of or found.beyond or self.skipped or self.strange:
            return UNNAMED
        expected = max(rows, self.total or 0)
        told = self.total if self.completed is None else self.completed + failed
        return UNCOUNTED if complete and told is not None and told < expected else ""


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
