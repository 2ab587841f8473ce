"""The only file that knows the HTTP library: plain values in, a Reply out, and nothing raised for the network.

No retries, no redirects, no cookies, no .netrc; TLS always verified; the environment's proxies and CA bundle honoured.
The key is revealed where the header, the query or the body is made, and nowhere else.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections.abc import Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import unquote, urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from spark_klaviyo.core.choices import KeyIn
from spark_klaviyo.core.clock import Clock, SystemClock, rfc3339
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Reply
from spark_klaviyo.http.body import Body, filled
from spark_klaviyo.http.failures import connect_failure, never_connected, refused_for_good, timed_out

MAX_REPLY_BYTES = 16_000_000
CONNECT_SECONDS = 15.0  # longest wait for a connection, and for one block of a body to leave
CHATTY = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


class Revealable(Protocol):
    """A secret that is asked for at the last moment."""

    def reveal(self) -> str:
        """The text itself."""


class Keys(Protocol):
    """An API key or an OAuth access token, or neither."""

    @property
    def api_key(self) -> Revealable | None:
        """Private API key."""

    @property
    def access_token(self) -> Revealable | None:
        """OAuth bearer token."""


class Sends(Protocol):
    """What the sender needs of a transport."""

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        parts: Sequence[bytes | memoryview] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request, one answer or the reason why none came."""


class _Authorization(AuthBase):
    """Sets the header late. Being an auth of the session, it also keeps the library from looking into .netrc."""

    def __init__(self, credentials: Keys | None, *, own_header: bool = False) -> None:
        self._credentials, self._own_header = credentials, own_header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._own_header and self._credentials is not None and self._credentials.api_key is not None:
            request.headers["api-key"] = self._credentials.api_key.reveal()
        elif self._credentials is not None and self._credentials.access_token is not None:
            request.headers["Authorization"] = f"Bearer {self._credentials.access_token.reveal()}"
        elif self._credentials is not None and self._credentials.api_key is not None:
            request.headers["Authorization"] = f"Klaviyo-API-Key {self._credentials.api_key.reveal()}"
        return request


class _Quiet(HTTPConnection):
    """Never prints itself: with `HTTPConnection.debuglevel` set, Python prints headers and bodies, and so the key."""

    debuglevel = 0


class _QuietTls(HTTPSConnection):
    debuglevel = 0


class _QuietPool(HTTPConnectionPool):
    ConnectionCls = _Quiet


class _QuietTlsPool(HTTPSConnectionPool):
    ConnectionCls = _QuietTls


class _Adapter(HTTPAdapter):
    """Connections that print nothing, whether direct or through a proxy."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = QUIET_POOLS

    def proxy_manager_for(self, proxy: Any, **settings: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **settings)
        manager.pool_classes_by_scheme = QUIET_POOLS
        return manager


QUIET_POOLS: dict[str, Any] = {"http": _QuietPool, "https": _QuietTlsPool}


class _Session(requests.Session):
    """A session to which a redirect is an answer like any other: nothing is made of where it points."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


class _Hush(logging.Filter):
    """Drops what the HTTP library logs about our own requests: it prints URLs, and a URL can hold a key or an email."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not getattr(self.local, "sending", False)


class Transport:
    """Pooled connections to one host, shared by the threads of a task.

    `key_in`: where the key travels; in a body it takes the place of KEY_PLACEHOLDER.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        credentials: Keys | None,
        *,
        key_in: KeyIn = KeyIn.HEADER,
        timeout_seconds: float = 60.0,
        workers: int = 4,
        proxy: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).hostname or ""
        self._credentials, self._key_in = credentials, key_in
        self._seconds = timeout_seconds
        self._timeout = (min(timeout_seconds, CONNECT_SECONDS), timeout_seconds)
        self._clock: Clock = clock or SystemClock()
        self._session = _session(headers, workers)
        in_header = key_in in (KeyIn.HEADER, KeyIn.API_KEY_HEADER)
        self._auth = _Authorization(credentials if in_header else None, own_header=key_in is KeyIn.API_KEY_HEADER)
        self._settings = _settings(self._session, self._base_url, proxy)
        self._hush = _Hush()
        for name in CHATTY:
            logging.getLogger(name).addFilter(self._hush)

    def __repr__(self) -> str:
        return f"Transport({self._host})"

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        parts: Sequence[bytes | memoryview] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and read its whole answer; `path` begins with a slash and is percent-encoded."""
        if any(unquote(segment) in (".", "..") for segment in path.split("/")):
            return Reply(None, failure="path", sent=False)
        began = self._clock.now()
        body = Body(filled(parts or (), self._marks()))
        self._hush.local.sending = True
        try:
            with self._exchange(method, path, query, body, headers) as response:
                return self._read(response, began)
        except (requests.RequestException, OSError, ValueError) as error:
            failure, sent = self._failure(error, body)
            return Reply(None, seconds=self._clock.now() - began, failure=failure, sent=sent)
        finally:
            self._hush.local.sending = False

    def close(self) -> None:
        """Close all connections."""
        for name in CHATTY:
            logging.getLogger(name).removeFilter(self._hush)
        self._session.close()

    def _exchange(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Body,
        headers: Mapping[str, str] | None,
    ) -> requests.Response:
        request = requests.Request(method, self._url(path, query), headers=headers, auth=self._auth, data=body or None)
        prepared = self._session.prepare_request(request)
        return self._session.send(prepared, allow_redirects=False, timeout=self._timeout, **self._settings)

    def _url(self, path: str, query: Sequence[tuple[str, str]]) -> str:
        pairs = list(query)
        if self._key_in is KeyIn.QUERY:
            pairs.append(("api_key", self._key()))
        joint = "&" if "?" in path else "?"
        return self._base_url + path + (joint + urlencode(pairs) if pairs else "")

    def _marks(self) -> list[tuple[bytes, bytes]]:
        marks = [(NOW_PLACEHOLDER, rfc3339(self._clock.wall()).encode())]
        if self._key_in is KeyIn.BODY:
            marks.append((KEY_PLACEHOLDER, self._key().encode()))
        return marks

    def _key(self) -> str:
        held = self._credentials and (self._credentials.api_key or self._credentials.access_token)
        return held.reveal() if held else ""

    def _read(self, response: requests.Response, began: float) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        gathered, failure = bytearray(), ""
        try:
            for chunk in response.iter_content(65536):
                gathered += chunk
                if len(gathered) > MAX_REPLY_BYTES or self._clock.now() - began > 4 * self._seconds:
                    failure = "truncated"
                    break
        except (requests.RequestException, OSError):
            failure = "truncated"  # the status came, so the outcome is known; only its text is not whole
        seconds = self._clock.now() - began
        return Reply(response.status_code, headers, bytes(gathered[:MAX_REPLY_BYTES]), seconds, failure)

    def _failure(self, error: Exception, body: Body) -> tuple[str, bool]:
        """The word for it, and whether the request may have arrived."""
        left = len(body) > 0 and body.handed_over
        if isinstance(error, requests.exceptions.ProxyError) and not left:
            return "proxy", False  # one that broke off later may have passed the request on
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return "connect_timeout", False
        if isinstance(error, requests.exceptions.ReadTimeout):
            return "timeout", True
        if isinstance(error, requests.exceptions.SSLError) and not left and refused_for_good(error):
            return "tls", False
        if never_connected(error):
            return connect_failure(error, self._host), False
        if isinstance(error, ValueError):  # a URL or a header that cannot be sent at all
            return "path", False
        return ("timeout" if timed_out(error) else "reset"), body.handed_over


def _session(headers: Mapping[str, str], workers: int) -> requests.Session:
    session = _Session()
    session.headers.clear()  # a user agent and the like come from the plan, not from the library
    session.headers.update({"Accept-Encoding": "gzip, deflate", "Connection": "keep-alive", **headers})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=2, pool_maxsize=workers, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _settings(session: requests.Session, base_url: str, proxy: str | None) -> dict[str, Any]:
    """The environment's proxies and CA bundle, read once; a proxy given by option goes before the environment's.

    Plain http to this machine stays on it: a proxy elsewhere would be shown the key.
    """
    proxies = {"http": proxy, "https": proxy} if proxy else {}
    settings = dict(session.merge_environment_settings(base_url, proxies, True, True, None))
    parts = urlsplit(base_url)
    if not proxy and parts.scheme == "http" and _stays_here(parts.hostname or ""):
        settings["proxies"] = {}
    return settings


def _stays_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")
