"""Translates the exceptions of the HTTP library into a `Failure`, and decides whether the request may have arrived."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import requests

from spark_klaviyo.core.codes import Failure
from spark_klaviyo.http.body import Body


def failure_of(error: Exception, host: str, body: Body) -> tuple[Failure, bool]:
    """Why no reply came, and whether the request may have reached the server."""
    body_left = len(body) > 0 and body.handed_over
    found = list(causes(error))
    if isinstance(error, requests.exceptions.ProxyError) and not body_left:
        return Failure.PROXY, False  # one that broke off later may have passed the request on
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Failure.CONNECT_TIMEOUT, False
    if isinstance(error, requests.exceptions.ReadTimeout):
        return Failure.TIMEOUT, True
    if isinstance(error, requests.exceptions.SSLError) and not body_left and not _broke_off(found):
        return Failure.TLS, False
    if any(type(one).__name__ in ("NewConnectionError", "NameResolutionError") for one in found):
        return _connect_failure(found, host), False
    if isinstance(error, ValueError):  # a URL or a header that cannot be sent at all
        return Failure.PATH, False
    timed_out = any(isinstance(one, TimeoutError) for one in found)
    return (Failure.TIMEOUT if timed_out else Failure.RESET), body.handed_over


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it was raised from or wraps, without repeats."""
    todo: list[BaseException] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        wrapped = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        todo += [other for other in wrapped if isinstance(other, BaseException)]


def _broke_off(found: list[BaseException]) -> bool:
    """Whether a TLS error is a connection that broke off, and not a certificate or a protocol."""
    return any(isinstance(one, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)) for one in found)


def _connect_failure(found: list[BaseException], host: str) -> Failure:
    if any(isinstance(one, socket.gaierror) or type(one).__name__ == "NameResolutionError" for one in found):
        return Failure.DNS
    return Failure.BLOCKED if is_blackholed(host) else Failure.CONNECT


def is_blackholed(host: str) -> bool:
    """Whether the host's name resolves to nowhere, as resolvers with tracker blocklists answer for a.klaviyo.com."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and addresses <= {"0.0.0.0", "::"}  # noqa: S104
