"""Whether a connection to an address opens from this process; uses the standard library alone.

Spark's workers run it, those that lack this package included.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

CONNECT_SECONDS = 2.0  # for looking up the name and connecting; without internet both may hang
PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
PORTS = {"http": 80, "https": 443}


def can_connect(url: str, proxy: str | None = None, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether a connection to the host of `url` opens in time, or one to a proxy: this one, or the environment's.

    In threads, as looking up a name has no time limit.
    """
    connected = threading.Event()
    urls = filter(None, [url, proxy, *(os.environ.get(name) for name in PROXIES)])
    threads = [
        threading.Thread(target=_try, args=(one, seconds, connected), daemon=True) for one in dict.fromkeys(urls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(0.0 if connected.is_set() else seconds)
    return connected.is_set()


def _try(url: str, seconds: float, connected: threading.Event) -> None:
    parts = urlsplit(url if "//" in url else f"//{url}")
    with suppress(OSError, ValueError):
        address = (parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443))
        with socket.create_connection(address, seconds):
            connected.set()
