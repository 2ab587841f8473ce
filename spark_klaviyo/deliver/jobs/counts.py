"""Reads what a final job counts, and whether that says of each of its rows what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spark_klaviyo.deliver.jobs.errors import FailedRows

UNNAMED = "their job says that some rows failed or were skipped, without naming them"
UNCOUNTED = "their job is complete, and its counts do not account for all of its rows"


@dataclass(frozen=True)
class Counts:
    """The counts among a job's attributes; None where one is not given."""

    total: int | None = None
    completed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    # Whether one is given and is not a whole number.
    unreadable: bool = False

    @staticmethod
    def of(attributes: Mapping[str, object]) -> Counts:
        """Read them; digits in a text count as a number."""
        given = {name: attributes.get(f"{name}_count") for name in ("total", "completed", "failed", "skipped")}
        whole = {name: _whole(value) for name, value in given.items()}
        return Counts(**whole, unreadable=any(given[name] is not None and whole[name] is None for name in given))

    def why_unconfirmed(self, rows: int, found: FailedRows, *, counts_rows: bool) -> str:
        """Why the rows that no error named cannot be called delivered; empty where they can.

        `counts_rows`: whether the counts of this kind of job mean rows (those of suppressions do not).
        """
        named = found.named + found.already_satisfied
        failed = named + found.nameless if self.failed is None else self.failed
        if failed > named or found.beyond or self.skipped or self.unreadable:
            return UNNAMED
        counted = self.total if self.completed is None else self.completed + failed
        short = counted is not None and counted < max(rows, self.total or 0)
        return UNCOUNTED if counts_rows and short else ""


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
