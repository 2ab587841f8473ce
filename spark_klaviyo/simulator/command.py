"""The command line's `simulate`: serve until Ctrl-C."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.simulator.simulator import KlaviyoSimulator


def simulate(
    port: int = 0,
    latency: float = 0.0,
    burst: int | None = None,
    steady: int | None = None,
    faults: Iterable[Fault] | str | Path | None = None,
    *,
    limits: str = "off",
    legacy: str = "retired",
    output: TextIO | None = None,
    until: threading.Event | None = None,
) -> int:
    """Print the url, one line, and serve until interrupted (or until an event is set); 0."""
    waiting = until or threading.Event()
    simulator = KlaviyoSimulator(
        port=port,
        latency=latency,
        burst=burst,
        steady=steady,
        faults=faults,
        limits=limits,
        legacy=legacy,
        keep_bodies=False,
    )
    with simulator:
        (output or sys.stdout).write(f"{simulator.url}\n")
        (output or sys.stdout).flush()
        try:
            waiting.wait()
        except KeyboardInterrupt:
            return 0
    return 0
