"""Connections of the HTTP library that print nothing, bound a whole answer, and know when a request has left.

Without the library's sessions there are no cookies, no redirects and no .netrc. Used by `http.transport` alone.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from spark_klaviyo.core.hosts import is_loopback


class ThisThread(threading.local):
    """Whether this thread has a request of ours, and has begun to send it; connecting does not count."""

    has_request = False
    has_begun = False


THIS_THREAD = ThisThread()


class _UntilDeadline(io.RawIOBase):
    """Reads from a socket until a deadline (monotonic seconds), then raises TimeoutError, however slowly bytes come."""

    def __init__(self, connection: socket.socket, raw: io.RawIOBase, deadline: float) -> None:
        self._connection, self._raw, self._deadline = connection, raw, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """An answer that has to be complete within the socket's timeout, counted from here: the request has left."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        seconds = sock.gettimeout()
        if seconds is not None:
            self.fp.close()
            raw: Any = sock.makefile("rb", buffering=0)
            self.fp = io.BufferedReader(_UntilDeadline(sock, raw, time.monotonic() + seconds))


class _Own:
    """Never prints: with `HTTPConnection.debuglevel` set, Python prints headers and bodies, and so the key."""

    debuglevel = 0
    response_class: Any = _BoundedResponse
    sock: Any
    connect: Any

    def endheaders(self, *args: Any, **settings: Any) -> None:
        """Connect first, so that what fails from here on may have reached the server."""
        if self.sock is None:
            self.connect()
        THIS_THREAD.has_begun = True
        super().endheaders(*args, **settings)  # type: ignore[misc]


class _OwnConnection(_Own, HTTPConnection):
    pass


class _OwnTlsConnection(_Own, HTTPSConnection):
    pass


class _OwnPool(HTTPConnectionPool):
    ConnectionCls = _OwnConnection


class _OwnTlsPool(HTTPSConnectionPool):
    ConnectionCls = _OwnTlsConnection


OWN_POOLS: dict[str, Any] = {"http": _OwnPool, "https": _OwnTlsPool}


class OwnAdapter(HTTPAdapter):
    """Sends over own connections, whether direct or through a proxy."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """As the library does, with own connections."""
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = OWN_POOLS

    def proxy_manager_for(self, proxy: Any, **settings: Any) -> Any:
        """As the library does, with own connections."""
        manager = super().proxy_manager_for(proxy, **settings)
        manager.pool_classes_by_scheme = OWN_POOLS
        return manager


def proxies_in_use(proxy: str | None) -> dict[str, str]:
    """The option `proxy` if it is given, else the environment's, by scheme, but for hosts that need none."""
    found = {"http": proxy, "https": proxy} if proxy else getproxies()
    return {scheme: address for scheme, address in found.items() if scheme != "no"}


def request_settings(base_url: str, proxy: str | None) -> dict[str, Any]:
    """The environment's proxies and CA bundle, read once; the option `proxy` goes before the environment's.

    Plain http to this machine uses no proxy, which would see the key.
    """
    proxies = {"http": proxy, "https": proxy} if proxy else {}
    settings = dict(requests.Session().merge_environment_settings(base_url, proxies, True, True, None))
    parts = urlsplit(base_url)
    if not proxy and parts.scheme == "http" and is_loopback(parts.hostname or ""):
        settings["proxies"] = {}
    return settings
