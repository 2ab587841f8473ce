"""The soak: millions of rows, faults of every kind, two kills, a re-run, and a count of every row.

    python -m tests.soak                     # 2,000,000 people and 200,000 events, faults on 5 % of requests
    python -m tests.soak --rows 100000       # a short one

It prints a table of the runs and what was found; exit status 1 where a row was lost, came twice unaccounted, or memory
grew. Needs about 1.5 GB for each million people, which the local Klaviyo holds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.soak.running import Job, Memory, arrivals, distinct

OUTCOMES = ("delivered", "accepted", "rejected", "skipped", "unsent")
COLUMNS = ("rows", *OUTCOMES, "requests", "retries", "throttled", "resent")
TASKS, WORKERS, TIMEOUT = 2, 4, 3.0
GROWTH = 1.5  # the largest Python process may be so many times larger in the second half
KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "hang"},
    {"kind": "slow", "seconds": 0.5},
    {"kind": "slow", "seconds": TIMEOUT + 1},
    {"kind": "truncated"},
    {"kind": "status", "status": 202, "body": "html"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 500, "body": "html"},
    {"kind": "status", "status": 502, "body": "html"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 504, "body": "html"},
    {"kind": "status", "status": 524, "body": "html"},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 429, "retry_after": 0},
    {"kind": "status", "status": 429, "retry_after": 2},
    {"kind": "job_row_errors", "share": 0.001},
    {"kind": "job_cancelled"},
    {"kind": "html_status"},
    {"kind": "job_gone"},
)


@dataclass
class Soak:
    """One template, from the first run to the verdict."""

    template: str
    rows: int
    max_rows: int
    share: float
    state: Path
    lines: list[tuple[str, dict[str, Any], int, Memory]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    twice: str = ""

    def run(self) -> None:
        faults = [Fault(**kind, rate=self.share / len(KINDS), seed=number) for number, kind in enumerate(KINDS)]
        with KlaviyoSimulator(faults=faults, keep_bodies=False) as klaviyo:
            self._run(klaviyo, "worker killed at 25 %, driver at 60 %", kills=[(0.25, "worker"), (0.6, "driver")])
            again = self._run(klaviyo, "re-run, faults as before")
            klaviyo.clear_faults()
            last = self._run(klaviyo, "re-run without faults")
            check = self._run(klaviyo, "once more")
            self._judge(klaviyo, again, last, check)

    def _run(self, klaviyo: KlaviyoSimulator, name: str, kills: Sequence[tuple[float, str]] = ()) -> dict[str, Any]:
        todo = list(kills)
        write = {
            "template": self.template,
            "base_url": klaviyo.url,
            "api_key": "pk_key_of_the_soak",
            "state_path": str(self.state),
            "max_rows": self.max_rows,
            "tasks": TASKS,
            "workers": WORKERS,
            "timeout_seconds": TIMEOUT,
            "rate_limit": "none",
            "on_reject": "keep",
            "job_timeout_seconds": 600,
        }

        def each(job: Job) -> None:
            due = todo and distinct(klaviyo, self.template) >= todo[0][0] * self.rows
            if due and (job.kill_worker() if todo[0][1] == "worker" else job.kill_driver()):
                todo.pop(0)

        job = Job({"master": "local[2,4]", "rows": self.rows, "write": write})
        report = job.run(each) or {}
        self.lines.append((name, report, arrivals(klaviyo, self.template), job.memory))
        if todo:
            self.problems.append(f"{name}: ended before it was killed")
        if not kills and not report:
            self.problems.append(f"{name}: no report")
        return report

    def _judge(
        self, klaviyo: KlaviyoSimulator, again: dict[str, Any], last: dict[str, Any], check: dict[str, Any]
    ) -> None:
        for report in (again, last, check):
            parts = sum(report.get(name, 0) for name in OUTCOMES)
            if report.get("rows") != self.rows or parts != self.rows:
                self.problems.append(f"a report does not add up: {report.get('rows')} rows, {parts} accounted for")
        if last.get("rejected") or last.get("unsent"):
            self.problems.append(f"without faults: {last.get('rejected')} rejected, {last.get('unsent')} unsent")
        if check.get("skipped") != self.rows or check.get("requests"):
            self.problems.append(f"once more: {check.get('skipped')} of {self.rows} rows skipped")
        there = distinct(klaviyo, self.template)
        if there != self.rows:
            self.problems.append(f"{self.rows - there} rows are lost")
        self._twice(klaviyo, again, last)
        first, second = self.lines[1][3].python_peaks()
        if second > GROWTH * first + 50:
            self.problems.append(f"memory grew: {first:.0f} MB in the first half, {second:.0f} MB in the second")

    def _twice(self, klaviyo: KlaviyoSimulator, again: dict[str, Any], last: dict[str, Any]) -> None:
        """Rows that came twice: never for events; of people only those that may have, by the reports and the kills."""
        twice = arrivals(klaviyo, self.template) - distinct(klaviyo, self.template)
        resent = sum(report.get("resent", 0) for report in (again, last))
        killed = 2 * TASKS * WORKERS * self.max_rows
        unreported = int(self.share * 0.7 * self.rows) + killed  # what the killed run resent, no report counts
        jobs = sum(report.get("rejected", 0) + report.get("accepted", 0) for report in (again, last))
        allowed = 0 if "events" in self.template else resent + unreported + jobs + self._cancelled(klaviyo)
        if not 0 <= twice <= allowed:
            self.problems.append(f"{twice} rows came twice, at most {allowed} may have")
        self.twice = f"{twice:,} came twice, at most {allowed:,} may have"

    def _cancelled(self, klaviyo: KlaviyoSimulator) -> int:
        """Rows of cancelled jobs: Klaviyo took them, and dropped them."""
        return klaviyo.job_rows["cancelled"]

    def table(self) -> str:
        """The runs, a line each."""
        head = f"{self.template}, {self.rows:,} rows, {self.max_rows:,} a request\n{'':38}"
        head += "".join(f"{name:>11}" for name in (*COLUMNS, "seconds", "arrived", "JVM MB", "Python MB"))
        lines = [head]
        for name, report, arrived, memory in self.lines:
            counts = [f"{report[one]:,}" if report else "killed" for one in COLUMNS]
            jvm = max((sample[1] for sample in memory.samples), default=0.0)
            python = max((sample[2] for sample in memory.samples), default=0.0)
            seconds = memory.samples[-1][0] - memory.samples[0][0] if memory.samples else 0.0
            cells = [*counts, f"{seconds:,.0f}", f"{arrived:,}", f"{jvm:,.0f}", f"{python:,.0f}"]
            lines.append(f"{name:38}" + "".join(f"{cell:>11}" for cell in cells))
        return "\n".join([*lines, self.twice])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--events", type=int, default=None, help="a tenth of the rows unless given")
    parser.add_argument("--max-rows", type=int, default=1_000)
    parser.add_argument("--faults", type=float, default=0.05, help="share of requests that meet one")
    given = parser.parse_args()
    events = given.rows // 10 if given.events is None else given.events
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for template, rows in (("bulk_import_profiles", given.rows), ("bulk_create_events", events)):
            if rows:
                soak = Soak(template, rows, given.max_rows, given.faults, Path(folder) / template)
                soak.run()
                sys.stdout.write(soak.table() + "\n\n")
                problems += [f"{template}: {problem}" for problem in soak.problems]
    sys.stdout.write("\n".join(problems or ["every row is accounted for"]) + "\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
