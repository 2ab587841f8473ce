"""The quota over real HTTP: how long against the ideal, and how many requests are refused for each accepted one.

Real senders, a real rate-limit server and the simulator with windows of random phase, all ten times as fast as real
time: half an hour in all. A busy machine shows as refusals, since its delays are stretched as well.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Batch, EncodedRows, Envelope, Span
from spark_klaviyo.core.policy import Policy, Quota, ResendRule
from spark_klaviyo.core.secrets import Credentials, Secret
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.sender import deliver
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.plan.model import SendSpec
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter
from spark_klaviyo.ratelimit.server import RateLimitClient, RateLimitServer, RemoteRateLimiter
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.templates import CURRENT
from tests.bench.stored import store
from tests.core.scaled_clock import ScaledClock
from tests.ratelimit.account_simulation import coalesced, ideal_seconds, spread

M, L = Quota(((10, 1.0), (150, 60.0))), Quota(((75, 1.0), (700, 60.0)))
LEFT = Quota(((10, 1.0), (105, 60.0)))
ABOUT = (
    "Time against the ideal, and 429 replies, with windows of random phase; medians of {} runs. The ideal keeps the\n"
    "quota in any 60 seconds; a run that begins late in a window can be faster, as it meets two minutes' quota at once."
)
ENVELOPE = Envelope(
    "/api/profile-bulk-import-jobs",
    b'{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[',
    b"]}}}}",
)
HEADERS = {"revision": "2026-10-15", "content-type": "application/vnd.api+json", "accept": "application/vnd.api+json"}
KEY = Credentials(Secret("pk_bench"))
RECORD = b'{"type":"profile","attributes":{"email":"bench@example.com"}},'
SHARES = 2  # tasks that send where none can reach a rate-limit server


@dataclass(frozen=True)
class Case:
    """Where the rows lie (requests by partition), and the targets: time against the ideal, refusals per request."""

    name: str
    way: str  # classic, connect, guess
    partitions: tuple[int, ...]
    time: float
    refused: float
    quota: Quota = M
    slots: int = 8
    competing: float = 0.0  # requests a second of another sender

    @property
    def requests(self) -> int:
        return sum(self.partitions)

    @property
    def ideal(self) -> float:
        return ideal_seconds(self.requests, LEFT if self.competing else self.quota)


FOUR = tuple(100 if place in (3, 9, 17, 30) else 0 for place in range(32))
SKEWED = (240, *spread(160, 7))


def cases() -> Iterator[Case]:
    """The table of targets."""
    layouts: list[tuple[str, Sequence[int], float, float]] = [
        ("evenly in 32, 400 requests", spread(400, 32), 1.05, 1.10),
        ("evenly in 32, 1,450 requests", spread(1450, 32), 1.03, 1.05),
        ("in 4 of 32, 400 requests", FOUR, 1.05, 1.15),
        ("60 % in one of 8, 400 requests", SKEWED, 1.05, 1.15),
        ("120 requests", spread(120, 8), 1.25, 1.30),
    ]
    for name, partitions, classic, connect in layouts:
        yield Case(name, "classic", tuple(partitions), classic, 0.01 if "120" in name else 0.005)
        yield Case(name, "connect", tuple(partitions), connect, 0.02)
    yield Case("evenly in 64, tasks=64, 640 requests", "classic", tuple(spread(640, 64)), 1.05, 0.005, slots=64)
    yield Case("2,000 requests at 75/s, 700/min", "classic", tuple(spread(2000, 32)), 1.05, 0.005, L)
    yield Case("2,000 requests at 75/s, 700/min", "connect", tuple(spread(2000, 32)), 1.10, 0.02, L)
    yield Case("a neighbour using 30 %, 1,050 requests", "classic", tuple(spread(1050, 32)), 0.95, 0.03, competing=0.75)
    yield Case("a neighbour using 30 %, 1,050 requests", "connect", tuple(spread(1050, 32)), 0.85, 0.05, competing=0.75)
    yield Case("df.write, 8 even partitions, 400 requests", "guess", tuple(spread(400, 8)), 1.25, 0.05)


def send_spec(base_url: str, quota: Quota) -> SendSpec:
    """What sending needs of a plan."""
    template = CURRENT["bulk_import_profiles"]
    return SendSpec(
        run_id="bench",
        template=template,
        quota=quota,
        policy=Policy(),
        resend=ResendRule(),
        base_url=base_url,
        workers=4,
    )


@dataclass(frozen=True)
class Measured:
    """One run: simulated seconds, 429 replies, and the part of the competing sender's requests that was refused."""

    seconds: float
    refused: int
    starved: float


@dataclass
class Job:
    """One run of a case: slots that take tasks from a queue, as Spark's do."""

    case: Case
    speed: float
    seed: int

    def run(self) -> Measured:
        """Send everything; every request has to be accepted."""
        (burst, _), (steady, _) = self.case.quota.windows
        self.clock, self.over = ScaledClock(self.speed), Stop()
        with ExitStack() as held:
            klaviyo = held.enter_context(
                KlaviyoSimulator(burst=burst, steady=steady, speed=self.speed, seed=self.seed, keep_bodies=False)
            )
            self.url = klaviyo.url
            self.rate_limit_server = None
            if self.case.way == "classic":
                server = RateLimitServer(LocalRateLimiter(self.clock))
                self.rate_limit_server = held.enter_context(closing(server))
            competing = _CompetingSender(self) if self.case.competing else None
            began = self.clock.now()
            self._send()
            seconds = self.clock.now() - began
            self.over.set(StopCode.CLOSED)
            return Measured(seconds, self.refused, competing.result() if competing else 0.0)

    def _send(self) -> None:
        connect = self.case.way == "connect"
        tasks = coalesced(self.case.partitions, SHARES) if connect else self.case.partitions
        self.todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        for requests in tasks:
            self.todo.put(requests)
        self.taken, self.refused = 0, 0
        self._lock = threading.Lock()
        threads = [threading.Thread(target=self._slot) for _ in range(SHARES if connect else self.case.slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.taken != self.case.requests:
            message = f"{self.taken} of {self.case.requests} requests were accepted"
            raise RuntimeError(message)

    def _slot(self) -> None:
        while True:
            try:
                requests = self.todo.get_nowait()
            except queue.Empty:
                return
            self._task(requests)

    def _task(self, requests: int) -> None:
        transport = self.transport()
        with ExitStack() as held:
            held.callback(transport.close)
            context = SendContext(transport, self._limiter(held), self.clock, Stop())
            for delivery in deliver(send_spec(self.url, self.case.quota), batches(requests), context):
                if delivery is not None:
                    with self._lock:
                        self.taken += delivery.accepted
                        self.refused += sum(attempt.reply.status == 429 for attempt in delivery.attempts)

    def _limiter(self, held: ExitStack) -> RateLimiter:
        if self.rate_limit_server is None:
            return LocalRateLimiter(self.clock, share=1 / SHARES if self.case.way == "connect" else None)
        client = RateLimitClient(self.rate_limit_server.address)
        held.callback(client.close)
        return RemoteRateLimiter(client, LocalRateLimiter(self.clock, share=1 / self.case.slots), self.clock)

    def transport(self) -> Transport:
        """Connections of one task."""
        return Transport(self.url, HEADERS, KEY, clock=self.clock)


class _CompetingSender(threading.Thread):
    """Another sender that uses the account steadily."""

    def __init__(self, job: Job) -> None:
        super().__init__(daemon=True)
        self._job, self._sent, self._refused = job, 0, 0
        self.start()

    def run(self) -> None:
        transport, clock, over = self._job.transport(), self._job.clock, self._job.over
        due = clock.now()
        while not clock.wait(due - clock.now(), over):
            body = [ENVELOPE.head, RECORD[:-1], ENVELOPE.tail]
            self._sent += 1
            self._refused += transport.send("POST", ENVELOPE.path, parts=body).status == 429
            due += random.uniform(0.7, 1.3) / self._job.case.competing
        transport.close()

    def result(self) -> float:
        """The part of its requests that was refused."""
        self.join()
        return self._refused / max(self._sent, 1)


def batches(requests: int) -> Iterator[Batch]:
    """So many requests of one row each."""
    offsets, key = np.array([0, len(RECORD)], dtype=np.int64), pa.nulls(1, pa.string())
    for sequence in range(requests):
        encoded_rows = EncodedRows(memoryview(RECORD), offsets, np.array([sequence], dtype=np.int64), key)
        yield Batch(sequence, (Span(encoded_rows, 0, 1),), ENVELOPE)


def row(case: Case, runs: Sequence[Measured]) -> str:
    """A line of the table: medians beside the targets."""
    seconds = statistics.median(run.seconds for run in runs)
    refused = statistics.median(run.refused for run in runs) / case.requests
    if case.competing:
        share = case.requests / (105 / 60 * seconds)
        starved = statistics.median(run.starved for run in runs)
        time = f"{share:.0%} of what it leaves (≥ {case.time:.0%}), {starved:.1%} of its own refused (≤ 10 %)"
        met = share >= case.time and starved <= 0.1
    else:
        time = f"{seconds / case.ideal:.3f} of the ideal (≤ {case.time})"
        met = seconds <= case.time * case.ideal
    met = met and refused <= case.refused
    return f"| {case.name} | {case.way} | {time} | {refused:.2%} (≤ {case.refused:.1%}) | {'yes' if met else 'NO'} |"


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.bench quota [--rounds N] [--speed X] [--only TEXT] [--store] [--json]`."""
    parser = argparse.ArgumentParser(prog="tests.bench quota", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--speed", type=float, default=10.0, help="simulated seconds in each real one")
    parser.add_argument("--only", default="", help="cases whose name or way holds this")
    parser.add_argument("--store", action="store_true", help="keep the table for the README")
    parser.add_argument("--json", action="store_true", help="also print every run as JSON")
    given = parser.parse_args(arguments)
    lines = ["| rows lie | tasks | time | 429 replies per request | met |", "|---|---|---|---|---|"]
    print("\n".join(lines))
    for case in cases():
        if given.only in f"{case.name} {case.way}":
            speed = min(given.speed, 200.0 / case.quota.windows[0][0])  # what a small machine can serve in a second
            runs = [Job(case, speed, seed).run() for seed in range(given.rounds)]
            lines.append(row(case, runs))
            print(lines[-1], flush=True)
            if given.json:
                print(json.dumps([run.__dict__ for run in runs]), flush=True)
    if given.store:
        store("quota", ABOUT.format(given.rounds) + "\n\n" + "\n".join(lines))
    return 0
