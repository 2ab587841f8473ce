"""Faults to inject: what may go wrong between a client and Klaviyo, or inside a job; deterministic by seed."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

# In front of the application: neither authentication nor the limiter has seen the request.
FRONT = frozenset({"cdn_403", "redirect", "reset_before", "slow", "hang"})
# At the endpoint: counted by the limiter, answered with its headers where the answer is the application's own.
ENDPOINT = frozenset({"status", "conflict_409", "reset_after", "hang_after", "garbage", "drip", "truncated"})
# On the request that makes a job.
JOB = frozenset({"job_cancelled", "job_never_ends", "job_slow", "job_row_errors", "job_counts_only"})
# On a read of a job's status, or of its import errors.
STATUS = frozenset({"job_gone", "status_refused", "html_status"})
ERRORS = frozenset({"import_errors_pages"})
KINDS = FRONT | ENDPOINT | JOB | STATUS | ERRORS


@dataclass(frozen=True)
class Fault:
    """One fault. It strikes matching requests: not the first `after`, then a share `rate`, at most `times` times."""

    kind: str
    path: str = "*"
    method: str = "*"
    rate: float = 1.0
    times: int | None = None
    after: int = 0
    status: int = 500  # status
    body: str = "jsonapi"  # status: "jsonapi" | "html" | "empty" | any other text, sent as it is
    headers: Mapping[str, str] = field(default_factory=dict)  # status
    retry_after: int | str | None = None  # status: the header's value; None leaves it out
    pointer: str | None = None  # status: the error's pointer; None leaves it out of a 400
    seconds: float = 1.0  # slow, drip (real seconds of the whole answer), job_slow (simulated seconds)
    location: str = "https://www.klaviyo.com/login"  # redirect
    share: float = 1.0  # job_row_errors, job_counts_only: share of the rows that fail
    identifiers: Collection[str] = ()  # ... or exactly the rows with one of these identifiers
    original_payload: bool = True  # job_row_errors: whether the import error repeats the row
    detail: str = ""  # the error's sentence
    page_size: int = 1  # import_errors_pages: most errors a page
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            message = f"no such fault: {self.kind!r}; there are {', '.join(sorted(KINDS))}"
            raise ValueError(message)

    def picks(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of a job fails: by identifier, else by a share that depends on the identifiers alone."""
        named = [str(row[key]) for key in ("id", "email", "phone_number", "external_id", "unique_code") if row.get(key)]
        if self.identifiers:
            return any(name in self.identifiers for name in named)
        return self.share >= 1 or random.Random(f"{self.seed}/{'/'.join(named)}").random() < self.share  # noqa: S311

    def applies(self, method: str, path: str) -> bool:
        """Whether a request is one this fault is about."""
        path = path.rstrip("/")
        if not fnmatchcase(method, self.method) or not (
            fnmatchcase(path, self.path) or fnmatchcase(path + "/", self.path)
        ):
            return False
        if self.kind in JOB:
            return method == "POST" and path.endswith("-jobs")
        if self.kind in STATUS:
            return method == "GET" and "-jobs" in path
        return self.kind not in ERRORS or path.endswith("/import-errors")


def read_faults(source: Iterable[Fault] | str | Path | None) -> list[Fault]:
    """Faults as given, or from a JSON file: a list of objects with the fields of `Fault`."""
    if source is None:
        return []
    if not isinstance(source, (str, Path)):
        return list(source)
    known = {entry.name for entry in fields(Fault)}
    faults = []
    listed: object = json.loads(Path(source).read_text(encoding="utf-8"))
    if not (isinstance(listed, list) and all(isinstance(entry, dict) for entry in listed)):
        message = "a list of objects is needed"
        raise ValueError(message)
    for entry in listed:
        unknown = entry.keys() - known
        if unknown:
            message = f"no such setting of a fault: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        faults.append(Fault(**entry))
    return faults


class FaultBook:
    """The faults in force, and how often each was met and has struck."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []

    def add(self, faults: Iterable[Fault]) -> None:
        """Put more faults in force."""
        with self._lock:
            for fault in faults:
                self._entries.append(_Entry(fault, random.Random(f"{self._seed}/{len(self._entries)}/{fault.kind}")))  # noqa: S311

    def clear(self) -> None:
        """No fault any more."""
        with self._lock:
            self._entries = []

    def draw(self, kinds: Collection[str], method: str, path: str) -> Sequence[Fault]:
        """The faults of some kinds that strike this request."""
        if not self._entries:
            return ()
        with self._lock:
            return [entry.fault for entry in self._entries if entry.fault.kind in kinds and entry.strikes(method, path)]


@dataclass
class _Entry:
    fault: Fault
    dice: random.Random
    met: int = 0
    struck: int = 0

    def strikes(self, method: str, path: str) -> bool:
        if not self.fault.applies(method, path):
            return False
        self.met += 1
        if self.met <= self.fault.after or (self.fault.times is not None and self.struck >= self.fault.times):
            return False
        if self.fault.rate < 1 and self.dice.random() >= self.fault.rate:
            return False
        self.struck += 1
        return True
