"""An endpoint as data, the call that reaches it, and the answer that leaves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.rules.schema import Spec

if TYPE_CHECKING:
    from spark_klaviyo.simulator.faults import Fault
    from spark_klaviyo.simulator.state.account import Account

# docs: burst per second and steady per minute of each tier; L has been 750 a minute since 2026-04 (recorded)
TIERS = {"XS": (1, 15), "S": (3, 60), "M": (10, 150), "L": (75, 750), "XL": (350, 3500), "RECORDS": (3, 15)}


@dataclass(frozen=True)
class Answer:
    """A status and a document; None is zero bytes."""

    status: int
    document: JsonObject | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One authenticated, well-formed request on its way to the endpoint."""

    account: Account
    operation: Operation
    target: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonObject
    revision: str
    base: str
    now: float
    job_faults: Sequence[Fault] = ()

    @property
    def stamp(self) -> str:
        """The moment of the call, as Klaviyo writes it."""
        return iso(self.now)


Handler: TypeAlias = Callable[[Call], Answer]
Shapes: TypeAlias = Sequence[tuple[str, Spec]]


def always(spec: Spec) -> Shapes:
    """A shape that is the same in every revision."""
    return (("", spec),)


def since(revision: str, later: Spec, earlier: Spec) -> Shapes:
    """A shape that changed with a revision."""
    return (("", earlier), (revision, later))


@dataclass(frozen=True)
class Operation:
    """Method, path, tier, scopes, limits and shape of one endpoint, and the function that serves it."""

    name: str
    method: str
    path: str
    tier: str
    scopes: str
    run: Handler
    body: Shapes = ()
    rows: tuple[str, ...] = ()
    max_rows: int | None = None
    max_bytes: int | None = None
    max_row_bytes: int | None = None
    per_day: int | None = None
    count: Callable[[list[JsonObject]], int] | None = None
    born: str = ""

    @property
    def quotas(self) -> tuple[tuple[int, int], ...]:
        """(quota, window in seconds) of every window."""
        burst, steady = TIERS[self.tier]
        windows = ((burst, 1), (steady, 60))
        return windows if self.per_day is None else (*windows, (self.per_day, 86_400))

    def shape(self, revision: str) -> Spec | None:
        """The body's shape in a revision."""
        fitting = [spec for first, spec in self.body if first <= revision]
        return fitting[-1] if fitting else None
