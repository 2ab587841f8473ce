"""Whether tasks can reach the endpoint at all: one small task tries to open a connection to its host."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from spark_klaviyo.datasets.spark_storage import spark_errors
from spark_klaviyo.plan.model import WritePlan

SECONDS = 2.0  # for name and connection; where there is no internet, both may hang
PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
PORTS = {"http": 80, "https": 443}
_known: dict[tuple[str, str], bool] = {}  # by session and address: a stream asks once


def tasks_reach(spark: Any, plan: WritePlan) -> bool:
    """Whether a task of this session gets through to the plan's host, or to a proxy on the way. Sends nothing."""
    asked = (str(getattr(spark, "session_id", id(spark))), plan.base_url)
    if asked not in _known:
        _known[asked] = _asked(spark, plan)
    return _known[asked]


def _asked(spark: Any, plan: WritePlan) -> bool:
    try:
        rows = (
            spark.range(1, numPartitions=1)
            .mapInArrow(ReachTask(plan.base_url, plan.proxy), "reached boolean")
            .collect()
        )
    except spark_errors():  # a task that cannot even run sends nothing either
        return False
    return bool(rows[0]["reached"])


@dataclass(frozen=True)
class ReachTask:
    """Tries the addresses from inside a task; picklable."""

    url: str
    proxy: str | None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        for _ in batches:
            proxies = [self.proxy, *(os.environ.get(name) for name in PROXIES)]
            yield pa.RecordBatch.from_pydict({"reached": [any_reached([self.url, *filter(None, proxies)])]})


def any_reached(urls: list[str], seconds: float = SECONDS) -> bool:
    """Whether a connection to one of these hosts opens in time. Looking up a name has no limit, so threads do it."""
    reached = threading.Event()
    threads = [threading.Thread(target=_try, args=(url, seconds, reached), daemon=True) for url in dict.fromkeys(urls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(0.0 if reached.is_set() else seconds)
    return reached.is_set()


def _try(url: str, seconds: float, reached: threading.Event) -> None:
    parts = urlsplit(url if "//" in url else f"//{url}")
    try:
        address = (parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443))
        with socket.create_connection(address, seconds):
            reached.set()
    except (OSError, ValueError):
        return
