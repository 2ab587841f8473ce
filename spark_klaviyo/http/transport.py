"""Sends requests with the HTTP library: plain values in, a Reply out, and nothing raised for the network.

No retries, no redirects, no cookies, no .netrc; TLS is always verified; the environment's proxies and CA bundle are
honoured. The key is revealed only where the header, the query or the body is made.
"""

from __future__ import annotations

import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from typing import Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

import requests

from spark_klaviyo.core.capture import Capture
from spark_klaviyo.core.clock import Clock, Stop, rfc3339
from spark_klaviyo.core.codes import Failure, KeyIn, StopCode
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Reply
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.core.secrets import Credentials, cover_of
from spark_klaviyo.core.version import user_agent
from spark_klaviyo.http.body import Body, Part, fill_placeholders
from spark_klaviyo.http.connections import THIS_THREAD, OwnAdapter, request_settings
from spark_klaviyo.http.plain import MAX_REPLY_BYTES, plain_body, plain_headers

FINAL_STATUSES = range(200, 600)  # any other is no answer to the request
CONNECT_SECONDS = 15.0  # longest wait for a connection, and for one block of a body to leave
POLL_SECONDS = 0.2
ABANDON_SECONDS = 1.0  # that requests in flight get for their answers once the write is interrupted
Query: TypeAlias = Sequence[tuple[str, str]]
PUBLIC_HEADERS = ("accept", "content-type", "revision", "user-agent")  # all others may hold a secret
HTTP_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


class SupportsSend(Protocol):
    """What sending needs of a transport."""

    def send(self, method: str, path: str, *, query: Query = (), parts: Sequence[Part] = ()) -> Reply:
        """Send one request; the reply, or the reason why none came."""


def _is_of_others(record: logging.LogRecord) -> bool:  # noqa: ARG001
    """Drops what the HTTP library logs about our own requests: a URL can hold a key or an email."""
    return not THIS_THREAD.has_request


class Transport:
    """Pooled connections to one host, shared by the threads of a task.

    `key_in` says where the key goes; in a body it replaces KEY_PLACEHOLDER. Times are seconds; `timeout_seconds` is for
    a whole answer, from the last byte of the request on. Where a server repeats a secret, the reply holds a mask. Once
    `interrupted_by` says that the write is interrupted, answers in flight soon count as lost, so that it can report.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        credentials: Credentials,
        *,
        key_in: KeyIn = KeyIn.HEADER,
        timeout_seconds: float = Policy.timeout_seconds,
        workers: int = 4,
        proxy: str | None = None,
        clock: Clock | None = None,
        interrupted_by: Stop | None = None,
    ) -> None:
        self._stop = interrupted_by
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).hostname or ""
        self._credentials, self._key_in = credentials, key_in
        self._timeout = (min(timeout_seconds, CONNECT_SECONDS), timeout_seconds)
        self._clock = clock or Clock()
        own = {"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive", "User-Agent": user_agent()}
        self._headers = {**own, **headers}
        self._adapter = OwnAdapter(pool_connections=2, pool_maxsize=workers, max_retries=0)
        self._settings = request_settings(self._base_url, proxy)
        self._cover = cover_of(_secrets(credentials, headers, proxy))
        for name in HTTP_LOGGERS:
            logging.getLogger(name).addFilter(_is_of_others)  # once, however often it is added

    def send(self, method: str, path: str, *, query: Query = (), parts: Sequence[Part] = ()) -> Reply:
        """Send one request and read its whole reply; `path` begins with a slash and is percent-encoded."""
        if self._stop is None:
            return self._send(method, path, query, parts)
        answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        began, until = time.monotonic(), float("inf")
        # a thread of its own, which may hang without harm
        send = threading.Thread(
            target=lambda: answers.put(self._send(method, path, query, parts)), name="klaviyo-request", daemon=True
        )
        send.start()
        while time.monotonic() < until:
            with suppress(queue.Empty):
                return answers.get(timeout=POLL_SECONDS)
            if self._stop.code is StopCode.INTERRUPTED:
                until = min(until, time.monotonic() + ABANDON_SECONDS)
        return Reply(None, seconds=time.monotonic() - began, failure=Failure.ABANDONED)

    def _send(self, method: str, path: str, query: Query, parts: Sequence[Part]) -> Reply:
        if any(unquote(segment) in (".", "..") for segment in path.split("/")):
            return Reply(None, failure=Failure.PATH, sent=False)
        began = self._clock.now()
        body = Body(fill_placeholders(parts, self._placeholders()))
        THIS_THREAD.has_request, THIS_THREAD.has_begun = True, False
        try:
            # whatever class the library gives a failure: once a byte has left, the answer is lost
            with Capture(Exception) as failed, self._open(method, path, query, body) as response:
                reply = self._read(response, began)
        finally:
            THIS_THREAD.has_request = False
        if failed.error is None:
            return reply
        failure, sent = failure_of(failed.take(), self._host, begun=THIS_THREAD.has_begun)
        return Reply(None, seconds=self._clock.now() - began, failure=failure, sent=sent)

    def close(self) -> None:
        """Close all connections that no request uses."""
        self._adapter.close()

    def _open(self, method: str, path: str, query: Query, body: Body) -> requests.Response:
        headers, params = {**self._headers, **self._key_header()}, list(query)
        if self._key_in is KeyIn.QUERY:
            params.append(("api_key", self._credentials.reveal()))
        request = requests.Request(method, self._base_url + path, headers, params=params, data=body or None)
        return self._adapter.send(request.prepare(), timeout=self._timeout, **self._settings)

    def _key_header(self) -> dict[str, str]:
        key, token = self._credentials.api_key, self._credentials.access_token
        if self._key_in is KeyIn.API_KEY_HEADER and key is not None:
            return {"api-key": key.reveal()}
        if self._key_in not in (KeyIn.HEADER, KeyIn.API_KEY_HEADER):
            return {}
        if token is not None:
            return {"Authorization": f"Bearer {token.reveal()}"}
        return {"Authorization": f"Klaviyo-API-Key {key.reveal()}"} if key is not None else {}

    def _placeholders(self) -> dict[bytes, bytes]:
        now = {NOW_PLACEHOLDER: rfc3339(self._clock.wall()).encode()}
        return now | {KEY_PLACEHOLDER: self._credentials.reveal().encode()} if self._key_in is KeyIn.BODY else now

    def _read(self, response: requests.Response, began: float) -> Reply:
        if response.status_code not in FINAL_STATUSES:
            return Reply(None, seconds=self._clock.now() - began, failure=Failure.GARBLED)
        body = bytearray()
        response.raw.enforce_content_length = True  # urllib3 1.26 does not by itself
        with Capture(Exception) as broken:
            for chunk in response.iter_content(65536):
                body += chunk
                if len(body) > MAX_REPLY_BYTES:
                    break
        # the status came, so the outcome is known
        failure = Failure.TRUNCATED if broken.take() or len(body) > MAX_REPLY_BYTES else None
        seconds = self._clock.now() - began
        headers = plain_headers(response.headers.items(), self._cover)
        plain = plain_body(bytes(body[:MAX_REPLY_BYTES]), self._cover)
        return Reply(response.status_code, headers, plain, seconds, failure)


def _secrets(credentials: Credentials, headers: Mapping[str, str], proxy: str | None) -> Iterable[str]:
    """All secrets that the transport knows: key, token, given headers, and the password of the proxy."""
    yield from (secret.reveal() for secret in (credentials.api_key, credentials.access_token) if secret)
    for name, value in headers.items():
        if name.lower() not in PUBLIC_HEADERS:
            yield value.rpartition(" ")[2]  # without the scheme of an Authorization header
    yield urlsplit(proxy or "").password or ""


# --- failures -------------------------------------------------------------------------------------


def failure_of(error: BaseException | None, host: str, *, begun: bool) -> tuple[Failure, bool]:
    """Why no reply came, and whether the request may have reached the server: it had `begun` to leave."""
    found = causes(error)
    timed_out = any(isinstance(one, TimeoutError) for one in found)
    if begun:
        garbled = any(isinstance(one, (HTTPException, ValueError)) for one in found) and not _broke_off(found)
        return (Failure.TIMEOUT if timed_out else Failure.GARBLED if garbled else Failure.RESET), True
    if isinstance(error, requests.exceptions.ProxyError):
        return Failure.PROXY, False
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Failure.CONNECT_TIMEOUT, False
    if isinstance(error, requests.exceptions.SSLError) and not _broke_off(found):
        return Failure.TLS, False
    if any(type(one).__name__ in ("NewConnectionError", "NameResolutionError") for one in found):
        return _connect_failure(found, host), False
    if isinstance(error, ValueError):  # a URL or a header that cannot be sent at all
        return Failure.PATH, False
    return (Failure.TIMEOUT if timed_out else Failure.RESET), False


def causes(error: BaseException | None) -> list[BaseException]:
    """The error and everything it was raised from or wraps, without repeats."""
    todo: list[object] = [error]
    found: list[BaseException] = []
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found


def _broke_off(found: list[BaseException]) -> bool:
    """Whether a connection broke off; otherwise TLS was refused, or what came was no HTTP."""
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
