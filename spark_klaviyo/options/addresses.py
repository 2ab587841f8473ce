"""Readers of addresses: where requests go, through what, and where receipts are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote_plus, urlsplit, urlunsplit

from spark_klaviyo.core.hosts import ip_address_of, is_loopback

# A host that a key may go to is written in full, in ASCII, without a dot at the end: nothing is left to be read in two
# ways by this check and by the resolver.
_HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_HOSTS = "names of hosts such as gateway.example.com, comma-separated, without scheme, port, path or *"


class Unreadable(ValueError):
    """A value is not what its option takes; the text is what the option takes."""


def base_url(given: object) -> str:
    """`https://host[:port]`, without anything behind it; plain http is judged where `allow_http` is known."""
    expected = "scheme and host only, such as https://a.klaviyo.com"
    parts = _web(given, expected)
    if parts.path.strip("/") or parts.query or "{" in parts.netloc:
        raise Unreadable(expected)
    return f"{parts.scheme}://{parts.netloc}"


def complete_url(given: object) -> str:
    """A whole URL; `{column}` may stand behind the host."""
    expected = "a complete URL such as https://a.klaviyo.com/api/profiles, with {column} only behind the host"
    parts = _web(given, expected)
    if "{" in parts.netloc:
        raise Unreadable(expected)
    return urlunsplit(parts)


def hosts(given: object) -> tuple[str, ...]:
    """Names or IP addresses of hosts, comma-separated or as a list, in lower case."""
    words = given.split(",") if isinstance(given, str) else given
    if not isinstance(words, list | tuple) or not words:
        raise Unreadable(_HOSTS)
    found = tuple(word.strip().lower() if isinstance(word, str) else "" for word in words)
    if not all(_HOST_NAME.fullmatch(host) or ip_address_of(host) is not None for host in found):
        raise Unreadable(_HOSTS)
    return found


KEY_PLACE = "{api_key}"  # in a url's query: here goes the key that another option gives


def split_key(url: str) -> tuple[str, str]:
    """The url without `api_key` in its query, and its value: a key, a reference, `{api_key}`; or url and nothing."""
    parts = _split(url.strip())
    pairs = parts.query.split("&") if parts is not None else []
    held = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]).lower() == "api_key"]
    if parts is None or not held:
        return url, ""
    rest = "&".join(pair for pair in pairs if pair not in held)
    found = unquote_plus(held[0].partition("=")[2]).strip()
    return urlunsplit(parts._replace(query=rest)), found or KEY_PLACE


def _web(given: object, expected: str) -> SplitResult:
    word = given.strip() if isinstance(given, str) else ""
    parts = _split(word)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreadable(expected)
    if parts.username is not None or parts.fragment or re.search(r"[\s\x00-\x1f\\]", word):
        expected += "; without user name, fragment or blanks"
        raise Unreadable(expected)
    return parts


def _split(word: str) -> SplitResult | None:
    try:
        parts = urlsplit(word)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def proxy(given: object) -> str:
    """The URL of a proxy, with or without its user and password."""
    word = given.strip() if isinstance(given, str) else ""
    parts = _split(word)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreadable("a proxy's URL such as http://proxy.example.com:3128")
    return word


def place(given: object) -> str:
    """A directory: a local path or any URI; or `table:catalog.schema.name`."""
    word = str(given).strip() if isinstance(given, str) or hasattr(given, "__fspath__") else ""
    if not word or (is_table(word) and not re.fullmatch(r"(?i:table:)\s*[^.\s]+(\.[^.\s]+){0,2}", word)):
        raise Unreadable("a path, a URI or table:catalog.schema.name")
    return f"table:{word[6:].strip()}" if is_table(word) else word


def directory(given: object) -> str:
    """A directory, and no table."""
    word = place(given)
    if is_table(word):
        raise Unreadable("a path or a URI")
    return word


def is_table(word: str) -> bool:
    """Whether a place is a table of the session's catalog."""
    return word.lower().startswith("table:")


def host_of(url: str) -> str:
    """The host, lower case."""
    return urlsplit(url).hostname or ""


def is_klaviyo(host: str) -> bool:
    """Whether a host is one of Klaviyo's."""
    return f".{host}".endswith(".klaviyo.com") and _HOST_NAME.fullmatch(host) is not None


def may_receive_key(url: str, trusted: Iterable[str] = ()) -> bool:
    """Whether the key may travel to this address: to Klaviyo, this machine, or a host that the caller trusts."""
    host = host_of(url)
    return is_klaviyo(host) or is_loopback(host) or host in trusted


def shown_place(place: str) -> str:
    """An address, path or URI as it may be shown: no user, password and query; before Azure's @ stands a container."""
    parts = _split(place)
    if parts is None or not parts.netloc:
        return place
    before, _, host = parts.netloc.rpartition("@")
    container = f"{before}@" if before and ":" not in before and parts.scheme.startswith(("abfs", "wasb")) else ""
    return urlunsplit((parts.scheme, container + host, parts.path, "", ""))
