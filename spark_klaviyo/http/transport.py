"""Sends requests with the HTTP library: plain values in, a Reply out, and nothing raised for the network.

No retries, no redirects, no cookies, no .netrc; TLS is always verified; the environment's proxies and CA bundle are
honoured. The key is revealed only where the header, the query or the body is made.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from spark_klaviyo.core.clock import Clock, rfc3339
from spark_klaviyo.core.codes import Failure, KeyIn
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Reply
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.http.body import Body, Part, fill_placeholders

MAX_REPLY_BYTES = 16_000_000
CONNECT_SECONDS = 15.0  # longest wait for a connection, and for one block of a body to leave
Query: TypeAlias = Sequence[tuple[str, str]]
HTTP_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


class SupportsSend(Protocol):
    """What sending needs of a transport."""

    def send(self, method: str, path: str, *, query: Query = (), parts: Sequence[Part] = ()) -> Reply:
        """Send one request; the reply, or the reason why none came."""


class _Authorization(AuthBase):
    """Adds the key when a request is prepared; as an `auth` it also keeps the library from reading .netrc."""

    def __init__(self, credentials: Credentials, key_in: KeyIn) -> None:
        self._key, self._token, self._key_in = credentials.api_key, credentials.access_token, key_in

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key_in is KeyIn.API_KEY_HEADER and self._key is not None:
            request.headers["api-key"] = self._key.reveal()
        elif self._key_in in (KeyIn.HEADER, KeyIn.API_KEY_HEADER):
            if self._token is not None:
                request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
            elif self._key is not None:
                request.headers["Authorization"] = f"Klaviyo-API-Key {self._key.reveal()}"
        return request


class _SilentConnection(HTTPConnection):
    """Never prints: with `HTTPConnection.debuglevel` set, Python prints headers and bodies, and so the key."""

    debuglevel = 0


class _SilentTlsConnection(HTTPSConnection):
    debuglevel = 0


class _SilentPool(HTTPConnectionPool):
    ConnectionCls = _SilentConnection


class _SilentTlsPool(HTTPSConnectionPool):
    ConnectionCls = _SilentTlsConnection


class _Adapter(HTTPAdapter):
    """Connections that print nothing, whether direct or through a proxy."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = SILENT_POOLS

    def proxy_manager_for(self, proxy: Any, **settings: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **settings)
        manager.pool_classes_by_scheme = SILENT_POOLS
        return manager


SILENT_POOLS: dict[str, Any] = {"http": _SilentPool, "https": _SilentTlsPool}


class _Session(requests.Session):
    """A session that treats a redirect as any other reply."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


class _OwnRequestFilter(logging.Filter):
    """Drops what the HTTP library logs about our own requests: a URL can hold a key or an email."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not getattr(self.local, "sending", False)


class Transport:
    """Pooled connections to one host, shared by the threads of a task.

    `key_in` says where the key goes; in a body it replaces KEY_PLACEHOLDER. Times are seconds.
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
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).hostname or ""
        self._credentials, self._key_in = credentials, key_in
        self._seconds = timeout_seconds
        self._timeout = (min(timeout_seconds, CONNECT_SECONDS), timeout_seconds)
        self._clock = clock or Clock()
        self._session = _session(headers, workers)
        self._auth = _Authorization(credentials, key_in)
        self._settings = _request_settings(self._session, self._base_url, proxy)
        self._log_filter = _OwnRequestFilter()
        for name in HTTP_LOGGERS:
            logging.getLogger(name).addFilter(self._log_filter)

    def __repr__(self) -> str:
        return f"Transport({self._host})"

    def send(self, method: str, path: str, *, query: Query = (), parts: Sequence[Part] = ()) -> Reply:
        """Send one request and read its whole reply; `path` begins with a slash and is percent-encoded."""
        if any(unquote(segment) in (".", "..") for segment in path.split("/")):
            return Reply(None, failure=Failure.PATH, sent=False)
        began = self._clock.now()
        body = Body(fill_placeholders(parts, self._placeholders()))
        self._log_filter.local.sending = True
        try:
            with self._open(method, self._url(path, query), body) as response:
                return self._read(response, began)
        except (requests.RequestException, OSError, ValueError) as error:
            failure, sent = failure_of(error, self._host, body)
            return Reply(None, seconds=self._clock.now() - began, failure=failure, sent=sent)
        finally:
            self._log_filter.local.sending = False

    def close(self) -> None:
        """Close all connections."""
        for name in HTTP_LOGGERS:
            logging.getLogger(name).removeFilter(self._log_filter)
        self._session.close()

    def _open(self, method: str, url: str, body: Body) -> requests.Response:
        prepared = self._session.prepare_request(requests.Request(method, url, auth=self._auth, data=body or None))
        return self._session.send(prepared, allow_redirects=False, timeout=self._timeout, **self._settings)

    def _url(self, path: str, query: Query) -> str:
        pairs = list(query)
        if self._key_in is KeyIn.QUERY:
            pairs.append(("api_key", self._key()))
        joint = "&" if "?" in path else "?"
        return self._base_url + path + (joint + urlencode(pairs) if pairs else "")

    def _placeholders(self) -> dict[bytes, bytes]:
        now = {NOW_PLACEHOLDER: rfc3339(self._clock.wall()).encode()}
        return now | {KEY_PLACEHOLDER: self._key().encode()} if self._key_in is KeyIn.BODY else now

    def _key(self) -> str:
        secret = self._credentials.api_key or self._credentials.access_token
        return secret.reveal() if secret else ""

    def _read(self, response: requests.Response, began: float) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        body, failure = bytearray(), None
        try:
            for chunk in response.iter_content(65536):
                body += chunk
                if len(body) > MAX_REPLY_BYTES or self._clock.now() - began > 4 * self._seconds:
                    failure = Failure.TRUNCATED
                    break
        except (requests.RequestException, OSError):
            failure = Failure.TRUNCATED  # the status came, so the outcome is known
        seconds = self._clock.now() - began
        return Reply(response.status_code, headers, bytes(body[:MAX_REPLY_BYTES]), seconds, failure)


def _session(headers: Mapping[str, str], workers: int) -> requests.Session:
    session = _Session()
    session.headers.clear()  # the plan's headers are all that is sent
    session.headers.update({"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive", **headers})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=2, pool_maxsize=workers, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _request_settings(session: requests.Session, base_url: str, proxy: str | None) -> dict[str, Any]:
    """The environment's proxies and CA bundle, read once; the option `proxy` goes before the environment's.

    Plain http to this machine uses no proxy, which would see the key.
    """
    proxies = {"http": proxy, "https": proxy} if proxy else {}
    settings = dict(session.merge_environment_settings(base_url, proxies, True, True, None))
    parts = urlsplit(base_url)
    if not proxy and parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        settings["proxies"] = {}
    return settings


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")


# --- failures -------------------------------------------------------------------------------------


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
