"""The fault matrix: every moment of a request's life, every kind of fault, every rule of resending; one run a case.

Faults of the network are real: a server of raw sockets that misbehaves at the moment. Faults of processes, of the disk
and of Spark are played with the same account in memory, in a clock whose time passes only when it is waited on.
`violations` compares what a report counts with what the account really carried out.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.models import Receipt, RejectedRow, Reply
from spark_klaviyo.deliver.jobs import JobEnded
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.limiter import RateLimiter
from spark_klaviyo.ratelimit.server import RateLimitClient
from spark_klaviyo.runs.results import Results
from spark_klaviyo.runs.staged import TaskStaging
from spark_klaviyo.task.run import SendContextFactory, TaskContext, TaskEvent, run_task
from tests.core.virtual_clock import VirtualClock
from tests.faults.raw_server import Account, Moment, NetworkFault, RawServer
from tests.task.running import Ran, Row, batches_of, plan_for

ROWS = 6
STRIKE = 2  # the request that is struck
ROW = re.compile(r"row\d+x")


class ProcessFault(StrEnum):
    """What happens to the processes around a request, or to their disk."""

    KILLED_WORKER = "killed worker"
    KILLED_DRIVER = "killed driver"
    SPARK_RETRY = "Spark retry"  # of the stage, whose tasks begin at attempt 0 again
    OVERTAKEN = "speculation, the first attempt ends last"
    OVERTAKING = "speculation, the second attempt ends last"
    FULL_DISK = "full disk"


@dataclass(frozen=True)
class Rule:
    """A template of a class, by what its replies say and whether it may be sent twice; columns for its rows."""

    template: str
    columns: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()
    idempotent: bool = True
    confirmation: str = "REPLY"

    @property
    def follows_job(self) -> bool:
        return self.confirmation == "JOB"

    def rows(self) -> list[Row]:
        """Rows whose text names them: row0x, row1x, ..."""
        return [{name: self._value(name, number) for name in self.columns} for number in range(ROWS)]

    @staticmethod
    def _value(name: str, number: int) -> str:
        return {
            "email": f"row{number}x@example.com",
            "external_id": f"row{number}x",
            "unique_code": f"row{number}x",
            "source": f"01SOURCErow{number}x",
            "destination": f"01TARGET{number}",
            "time": "2026-10-01T00:00:00Z",
        }.get(name, "same")


RULES = (
    Rule("create_or_update_profile", ("email", "first_name")),
    Rule("bulk_import_profiles", ("email", "first_name"), confirmation="JOB"),
    Rule("bulk_create_events", ("email", "time"), (("metric", "Placed Order"),), confirmation="NONE"),
    Rule("create_profile", ("email", "first_name"), idempotent=False),
    Rule("create_coupon", ("external_id", "description"), idempotent=False),
    Rule(
        "merge_profiles",
        ("destination", "source"),
        (("fields", '{"id":"destination","profiles":"source"}'), ("confirm_deletion", str(ROWS))),
        False,
        "NONE",
    ),
    Rule("bulk_create_coupon_codes", ("unique_code",), (("coupon_id", "SPRING"),), False, "JOB"),
)
RESENDS = ("auto", "always", "never")


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    rule: Rule
    resend: str
    moment: Moment
    fault: NetworkFault | ProcessFault

    def __str__(self) -> str:
        return f"{self.rule.template}, resend={self.resend}: {self.fault.value} {self.moment.name.lower()}"


def cases() -> Iterator[Case]:
    """Every cell that can occur: jobs are polled where there are some, and only what is recorded can fail there."""
    faults = (*NetworkFault, *ProcessFault)
    for rule, resend, moment, fault in itertools.product(RULES, RESENDS, Moment, faults):
        if moment is Moment.POLLED and not rule.follows_job:
            continue
        if moment is Moment.RECORDED and isinstance(fault, NetworkFault):
            continue  # no bytes travel then
        yield Case(rule, resend, moment, fault)


CASES = tuple(cases())


@dataclass
class Played:
    """What came of a case. `before`: what the account had carried out before the run whose report this is."""

    report: Ran
    account: Account
    before: Counter[str] = field(default_factory=Counter)


def violations(played: Played) -> list[str]:
    """In what the report differs from what the account carried out; empty where every row is counted as it ended."""
    report, arrived = played.report.report, played.account.carried_out - played.before
    doubt = sum(code in ("in_doubt", "unavailable") for code in played.report.codes)
    taken, twice = report.delivered + report.accepted, sum(count - 1 for count in arrived.values())
    named = {row for one in played.report.rejected for row in ROW.findall(one.record)}
    certain = {
        row
        for one in played.report.rejected
        if one.code not in ("in_doubt", "unavailable")
        for row in ROW.findall(one.record)
    }
    found = []
    if not report.adds_up() or report.rejected != len(played.report.rejected):
        found.append(f"the counts do not add up: {report.outcomes}")
    if report.rows != ROWS and report.stopped is None:
        found.append(f"{report.rows} rows were read")
    there = set(played.account.carried_out)
    if taken > len(there - certain):
        found.append(f"{taken} taken, but only {len(there)} are there")
    if not played.before and len(arrived) > taken + doubt:
        found.append(f"{len(arrived)} arrived, but {taken} are taken and {doubt} in doubt")
    if not played.before and certain & set(arrived):
        found.append(f"refused, but there: {sorted(certain & set(arrived))}")
    if twice > report.resent:
        found.append(f"{twice} arrived again, but {report.resent} are counted as resent")
    if len(named) != len(played.report.rejected):
        found.append("a rejected row is not named")
    return found


# --- playing a case -------------------------------------------------------------------------------


def play(case: Case) -> Played:
    """Run a case."""
    account = Account(refuses_repeats=not case.rule.idempotent and not case.rule.follows_job)
    if not isinstance(case.fault, NetworkFault):
        with tempfile.TemporaryDirectory() as folder:
            return _Processes(case, account, Path(folder)).play()
    with RawServer(account, case.moment, case.fault, STRIKE) as server:
        plan = _plan(case, server.url)
        with SendContextFactory(VirtualClock()).open(plan, 0, 0) as context:
            return Played(_ran(_events(plan, case, context)), account)


def _plan(case: Case, url: str, run_id: str = "run") -> WritePlan:
    timeout = 0.25 if case.fault is NetworkFault.SILENCE else 10  # others answer, however busy this machine is
    options: dict[str, object] = {"rate_limit": "none", "timeout_seconds": timeout, "attempts": 3, "workers": 2}
    options |= {"template": case.rule.template, "resend": case.resend, **dict(case.rule.settings)}
    if case.rule.template.startswith("bulk_"):
        options["max_rows"] = 2
    return replace(plan_for(_At(url), case.rule.columns, **options), run_id=run_id)


@dataclass(frozen=True)
class _At:
    url: str


def _events(plan: WritePlan, case: Case, context: TaskContext) -> Iterator[TaskEvent]:
    encoded = encode_batches(batches_of(case.rule.rows(), 3), plan)
    return run_task(plan, encoded, context, follows=True)


def _ran(events: Iterator[TaskEvent]) -> Ran:
    ran = Ran()
    for event in events:
        ran.add(event)
    return ran


class _Killed(BaseException):
    """The process is gone."""


class Driver(RateLimitClient):
    """Counts attempts as the driver of the run does, for the attempt that was the last to begin."""

    def __init__(self, processes: _Processes) -> None:
        super().__init__()
        self.processes, self.own = processes, processes.begun

    def overtaken(self) -> bool:
        return self.processes.begun > self.own


@dataclass
class _Processes:
    """Plays a fault of processes, of Spark or of the disk; `strike` is what happens at the moment."""

    case: Case
    account: Account
    folder: Path
    strike: Callable[[], None] = lambda: None
    met: int = 0
    begun: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def play(self) -> Played:
        """The run whose report the caller gets."""
        fault = self.case.fault
        if fault is ProcessFault.FULL_DISK:
            return self._full_disk()
        if fault in (ProcessFault.OVERTAKEN, ProcessFault.OVERTAKING):
            return self._speculation()
        self.strike = self._kill
        with contextlib.suppress(_Killed):
            self._attempt(0)
        self.strike = lambda: None
        before = Counter[str]()
        if fault is ProcessFault.KILLED_DRIVER:  # another run, which knows nothing of the first
            self.begun, before = 0, self.account.carried_out.copy()
        return Played(self._attempt(int(fault is ProcessFault.KILLED_WORKER)), self.account, before)

    def _kill(self) -> None:
        raise _Killed

    def _speculation(self) -> Played:
        """A second attempt begins while the first one hangs at the moment; the report is that of the winner."""
        reports: dict[int, Ran] = {}

        def second() -> None:
            self.strike = lambda: None
            reports[1] = self._attempt(1)

        self.strike = second
        reports[0] = self._attempt(0)
        winner = 0 if self.case.fault is ProcessFault.OVERTAKING and 1 in reports else min(1, len(reports) - 1)
        return Played(reports[winner], self.account)

    def _full_disk(self) -> Played:
        place = self.folder / "staging"

        def fill() -> None:
            shutil.rmtree(place, ignore_errors=True)
            place.write_text("no room is left")

        self.strike = fill
        staging, stop = TaskStaging(str(place), "receipts_path (there)"), Stop()
        plan, ran = _plan(self.case, "http://127.0.0.1:9"), Ran()
        events = self._recorded(_events(plan, self.case, self._context(stop, 0, repeats=False)))
        seen: list[TaskEvent] = []

        def noted() -> Iterator[TaskEvent]:
            for event in events:
                if isinstance(event, RejectedRow | JobEnded):
                    seen.append(event)
                if not isinstance(event, JobEnded):  # with a session jobs are followed after the tasks
                    yield event

        results = Results()
        for row in staging.keep(noted(), stop, "part"):
            results.add(*row)
        for event in [*results.jobs, *results.reports, *seen]:
            ran.add(event)
        return Played(ran, self.account)

    def _attempt(self, number: int) -> Ran:
        self.begun += 1  # as the rate-limit server of the run counts
        context = self._context(Stop(), number, repeats=self.begun > 1 or number > 0)
        context = replace(context, driver=Driver(self))
        plan = _plan(self.case, "http://127.0.0.1:9")
        return _ran(self._recorded(_events(plan, self.case, context)))

    def _recorded(self, events: Iterator[TaskEvent]) -> Iterator[TaskEvent]:
        for event in events:
            if self.case.moment is Moment.RECORDED and isinstance(event, Receipt) and self._strikes(self.case.moment):
                self.strike()
            yield event

    def _context(self, stop: Stop, number: int, *, repeats: bool) -> TaskContext:
        clock = VirtualClock()
        return TaskContext(self, RateLimiter(clock), clock, stop, 0, number, {}, repeats, roll=lambda: 0.5)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),  # noqa: ARG002
        parts: Sequence[bytes | memoryview] = (),
    ) -> Reply:
        """Carry a request out; at the moment the process meets its fault."""
        moment = self.case.moment
        is_met = (method == "GET") == (moment is Moment.POLLED) and moment is not Moment.RECORDED
        strikes = is_met and self._strikes(moment)
        if strikes and moment < Moment.SENT:
            self.strike()
        status, body = self.account.handle(method, path, b"".join(parts))
        if strikes and moment >= Moment.SENT:
            self.strike()
        return Reply(status, {}, body)

    def _strikes(self, moment: Moment) -> bool:
        with self.lock:
            self.met += 1
            return self.met == (1 if moment is Moment.POLLED else STRIKE)
