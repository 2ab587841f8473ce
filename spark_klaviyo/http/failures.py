"""Why no answer came: the exceptions of the HTTP library, read once and turned into a word.

dns, blocked, connect, connect_timeout, proxy, tls: the request never left (`UNREACHABLE`).
timeout, reset: it may have arrived.  truncated: the answer broke off.  path: refused by us.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

UNREACHABLE = frozenset({"dns", "blocked", "connect", "connect_timeout", "proxy", "tls"})

# What a person reads; never a URL, which may hold a key.
TEXTS = {
    "dns": "the name of the host could not be resolved",
    "blocked": "the name of the host resolves to 0.0.0.0: a tracker blocklist in this network's resolver blocks it",
    "connect": "the connection was refused or could not be made",
    "connect_timeout": "no connection within the time allowed",
    "proxy": "the proxy refused or could not be reached",
    "tls": "the server's TLS certificate could not be verified, or TLS could not be agreed on",
    "timeout": "no answer within the time allowed",
    "reset": "the connection was closed before an answer came",
    "truncated": "the answer broke off",
    "path": "the path of the request holds a segment that would lead elsewhere",
}


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
        held = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        todo += [other for other in held if isinstance(other, BaseException)]


def connect_failure(error: BaseException, host: str) -> str:
    """The word for a connection that could not be made."""
    found = list(causes(error))
    if any(isinstance(one, socket.gaierror) or type(one).__name__ == "NameResolutionError" for one in found):
        return "dns"
    return "blocked" if blackholed(host) else "connect"


def never_connected(error: BaseException) -> bool:
    """Whether no connection came about, so that nothing can have been sent."""
    return any(type(one).__name__ in ("NewConnectionError", "NameResolutionError") for one in causes(error))


def refused_for_good(error: BaseException) -> bool:
    """Whether TLS failed as such (a certificate, a protocol), as opposed to a connection that broke off."""
    broken = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)
    return not any(isinstance(one, broken) for one in causes(error))


def timed_out(error: BaseException) -> bool:
    """Whether a wait on the connection ran out."""
    return any(isinstance(one, TimeoutError) for one in causes(error))


def blackholed(host: str) -> bool:
    """Whether the host's name resolves to nowhere, as resolvers with tracker blocklists answer for a.klaviyo.com."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and addresses <= {"0.0.0.0", "::"}  # noqa: S104
