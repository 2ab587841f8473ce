"""Whether tasks can reach the endpoint: one small task tries to open a connection to its host, and sends nothing."""

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

CONNECT_SECONDS = 2.0  # for looking up the name and connecting; without internet both may hang
PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
PORTS = {"http": 80, "https": 443}
_results: dict[tuple[str, str], bool] = {}  # by session and address: a stream tries once


def tasks_can_connect(spark: Any, plan: WritePlan) -> bool:
    """Whether a task of this session can connect to the plan's host, or to a proxy on the way."""
    key = (str(getattr(spark, "session_id", id(spark))), plan.base_url)
    if key not in _results:
        _results[key] = _try_in_task(spark, ConnectTask(plan.base_url, plan.proxy))
    return _results[key]


def _try_in_task(spark: Any, task: ConnectTask) -> bool:
    try:
        rows = spark.range(1, numPartitions=1).mapInArrow(task, "connected boolean").collect()
    except spark_errors():  # a task that cannot even run sends nothing either
        return False
    return bool(rows[0]["connected"])


@dataclass(frozen=True)
class ConnectTask:
    """Tries the addresses from inside a task; picklable."""

    url: str
    proxy: str | None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What `mapInArrow` calls."""
        for _ in batches:
            proxies = [self.proxy, *(os.environ.get(name) for name in PROXIES)]
            yield pa.RecordBatch.from_pydict({"connected": [can_connect([self.url, *filter(None, proxies)])]})


def can_connect(urls: list[str], seconds: float = CONNECT_SECONDS) -> bool:
    """Whether a connection to one of these hosts opens in time; in threads, as looking up a name has no time limit."""
    connected = threading.Event()
    calls = [(url, seconds, connected) for url in dict.fromkeys(urls)]
    threads = [threading.Thread(target=_try, args=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(0.0 if connected.is_set() else seconds)
    return connected.is_set()


def _try(url: str, seconds: float, connected: threading.Event) -> None:
    parts = urlsplit(url if "//" in url else f"//{url}")
    try:
        address = (parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443))
        with socket.create_connection(address, seconds):
            connected.set()
    except (OSError, ValueError):
        return
