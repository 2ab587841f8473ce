"""The soak: millions of rows, faults of every kind, kills, a lost disk, re-runs, and a count of every row.

    python -m tests.soak                     # 2,000,000 people and 200,000 events, faults on 5 % of requests
    python -m tests.soak --short             # about five minutes: 20,000 people and 2,000 events, faults on 25 %

Each template is written twice: with a state, whose driver is killed, and which is then run again until nothing is left;
and without one, where a worker is killed, Spark runs its task again, and the report alone says what arrived. It prints
a table of the runs and what was found; exit status 1 where a row was lost, came twice unaccounted, or memory grew.
Needs about 1.5 GB for each million people, which the local Klaviyo holds.
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

STRIKES = {"worker": "kill_worker", "driver": "kill_driver", "disk": "lose_receipts"}
OUTCOMES = ("delivered", "accepted", "rejected", "skipped", "unsent")
COLUMNS = ("rows", *OUTCOMES, "requests", "retries", "throttled", "resent")
TASKS, WORKERS, TIMEOUT = 2, 4, 3.0
GROWTH = 1.5  # the largest Python process may be so many times larger in the second half
KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "hang"},
    {"kind": "hang_after"},
    {"kind": "garbage"},
    {"kind": "drip", "seconds": 0.5},
    {"kind": "drip", "seconds": TIMEOUT + 1},
    {"kind": "cdn_403"},
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
            report = self._run(klaviyo, "no state, worker killed at 30 %", [(0.3, "worker")], state=False)
            self._judge_alone(klaviyo, report)
        with KlaviyoSimulator(faults=faults, keep_bodies=False) as klaviyo:
            self._run(klaviyo, "worker killed at 25 %, driver at 50 %", [(0.25, "worker"), (0.5, "driver")])
            lost = self._run(klaviyo, "receipts cannot be written from 70 %", [(0.7, "disk")], receipts=True)
            self._judge_lost(lost)
            again = self._run(klaviyo, "re-run, faults as before")
            klaviyo.clear_faults()
            last = self._run(klaviyo, "re-run without faults")
            check = self._run(klaviyo, "once more")
            self._judge(klaviyo, again, last, check)

    def _run(
        self,
        klaviyo: KlaviyoSimulator,
        name: str,
        kills: Sequence[tuple[float, str]] = (),
        *,
        state: bool = True,
        receipts: bool = False,
    ) -> dict[str, Any]:
        todo = list(kills)
        places = {"state_path": self.state} if state else {}
        places |= {"receipts_path": self.state.with_name(f"{self.template}_receipts")} if receipts else {}
        write = {
            **{option: str(place) for option, place in places.items()},
            "template": self.template,
            "base_url": klaviyo.url,
            "api_key": "pk_key_of_the_soak",
            "max_rows": self.max_rows,
            "tasks": TASKS,
            "workers": WORKERS,
            "timeout_seconds": TIMEOUT,
            "rate_limit": "none",
            "on_reject": "keep",
            "job_timeout_seconds": 600,
        }

        before = arrivals(klaviyo, self.template)

        def each(job: Job) -> None:
            sends = arrivals(klaviyo, self.template) > before
            due = sends and todo and distinct(klaviyo, self.template) >= todo[0][0] * self.rows
            if due and getattr(job, STRIKES[todo[0][1]])():
                todo.pop(0)

        job = Job({"master": "local[2,4]", "rows": self.rows, "write": write})
        report = job.run(each) or {}
        self.lines.append((name, report, arrivals(klaviyo, self.template), job.memory))
        if todo:
            self.problems.append(f"{name}: ended before it was killed")
        if not report and "driver" not in dict(kills).values():
            self.problems.append(f"{name}: no report; {job.error}")
        return report

    def _judge_alone(self, klaviyo: KlaviyoSimulator, report: dict[str, Any]) -> None:
        """A run without a state: what it counts, against what arrived."""
        self._judge_sum(report)
        there, taken = distinct(klaviyo, self.template), report.get("delivered", 0) + report.get("accepted", 0)
        maybe = report.get("rejected", 0)  # in doubt, or their attempts used up
        cancelled = self._cancelled(klaviyo)
        if not taken - cancelled <= there <= taken + maybe:
            self.problems.append(f"without a state: {taken} rows were taken, {maybe} rejected, and {there} are there")
        twice = arrivals(klaviyo, self.template) - there
        if twice > report.get("resent", 0) + cancelled:
            self.problems.append(f"without a state: {twice} rows came twice, resent says {report.get('resent')}")

    def _judge_lost(self, report: dict[str, Any]) -> None:
        """A run that lost its disk has stopped, and counts all that it read."""
        self._judge_sum(report)
        if (report.get("stopped") or {}).get("code") != "not_written":
            self.problems.append(f"the lost disk: stopped by {report.get('stopped')}")

    def _judge_sum(self, report: dict[str, Any]) -> None:
        parts = sum(report.get(name, 0) for name in OUTCOMES)
        if parts != report.get("rows"):
            self.problems.append(f"a report does not add up: {report.get('rows')} rows, {parts} accounted for")

    def _judge(
        self, klaviyo: KlaviyoSimulator, again: dict[str, Any], last: dict[str, Any], check: dict[str, Any]
    ) -> None:
        for report in (again, last, check):
            self._judge_sum(report)
            if report.get("rows") != self.rows:
                self.problems.append(f"{report.get('rows')} of {self.rows} rows were read")
        if last.get("rejected") or last.get("unsent"):
            self.problems.append(f"without faults: {last.get('rejected')} rejected, {last.get('unsent')} unsent")
        if check.get("skipped") != self.rows or check.get("requests"):
            self.problems.append(f"once more: {check.get('skipped')} of {self.rows} rows skipped")
        there = distinct(klaviyo, self.template)
        if there != self.rows:
            self.problems.append(f"{self.rows - there} rows are lost")
        self._twice(klaviyo, again, last)
        first, second = self.lines[3][3].python_peaks()
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
    parser.add_argument("--short", action="store_true", help="20,000 rows, faults on a quarter of the requests")
    parser.add_argument("--rows", type=int, default=None, help="2,000,000 unless given")
    parser.add_argument("--events", type=int, default=None, help="a tenth of the rows unless given")
    parser.add_argument("--max-rows", type=int, default=None, help="1,000 rows a request unless given")
    parser.add_argument("--faults", type=float, default=None, help="share of requests that meet one; 5 % unless given")
    given = parser.parse_args()
    defaults = (20_000, 100, 0.25) if given.short else (2_000_000, 1_000, 0.05)
    people = defaults[0] if given.rows is None else given.rows
    max_rows, faults = given.max_rows or defaults[1], defaults[2] if given.faults is None else given.faults
    events = people // 10 if given.events is None else given.events
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        # a tenth as many events, in as many requests as people, which leaves time to strike
        sizes = ("bulk_import_profiles", people, max_rows), ("bulk_create_events", events, max(1, max_rows // 10))
        for template, rows, size in sizes:
            if rows:
                soak = Soak(template, rows, size, faults, Path(folder) / template)
                soak.run()
                sys.stdout.write(soak.table() + "\n\n")
                problems += [f"{template}: {problem}" for problem in soak.problems]
    sys.stdout.write("\n".join(problems or ["every row is accounted for"]) + "\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
