"""Which addresses of manual mode erase or merge people for good, in any spelling that a server would take.

Klaviyo's calls that cannot be undone (spec: request_profile_deletion, merge_profiles; v2: deletion-request) are guarded
like the templates of the same calls, so a path is compared as a server reads it: decoded, without case, without empty
segments and slashes at the end.
"""

from __future__ import annotations

import re
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from spark_klaviyo.options.addresses import may_receive_key

# A segment that begins so is such a call, wherever it stands.
_ERASING = ("data-privacy", "profile-merge")
_CALLS = ("/api/data-privacy-deletion-jobs", "/api/profile-merge", "/api/v2/data-privacy/deletion-request")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_ANY = "\x00"  # a placeholder while a path is compared
MOST_DECODINGS = 5  # of a text that was percent-encoded more than once


def erases(path: str) -> bool:
    """Whether a request to this path erases or merges people."""
    return any(segment.startswith(_ERASING) for segment in _segments(path))


def may_erase(url: str, trusted: tuple[str, ...] = ()) -> bool:
    """Whether requests to this url erase or merge people, or could where rows fill its `{placeholders}`.

    Any host may pass a request on to Klaviyo with a key of its own. Of one that may not have ours (`trusted`: hosts
    that may besides Klaviyo's) only the calls themselves are meant, not what placeholders could make of other paths.
    """
    path = _PLACEHOLDER.sub(_ANY, urlsplit(url).path)
    if erases(path) or _ANY not in path or not may_receive_key(url, trusted):
        return erases(path)
    return any(_could_be(_segments(path), _segments(call)) for call in _CALLS)


def is_erasing_call(path: str) -> bool:
    """Whether a path that was filled from a row is one of Klaviyo's erasing calls, as `..` in a value could make it."""
    kept = normpath("/" + "/".join(_segments(path))).split("/")[1:]
    call = [segment for segment in kept[:3] if segment not in ("api", "v1", "v2")]
    return kept[:1] == ["api"] and bool(call) and call[0].startswith(_ERASING)


def _could_be(segments: list[str], call: list[str]) -> bool:
    patterns = (".*".join(map(re.escape, segment.split(_ANY))) for segment in segments)
    return len(segments) == len(call) and all(
        re.fullmatch(pattern, part) for pattern, part in zip(patterns, call, strict=True)
    )


def _segments(path: str) -> list[str]:
    for _ in range(MOST_DECODINGS):
        path = unquote(path)
    parts = (part.partition(";")[0].strip() for part in path.replace("\\", "/").casefold().split("/"))
    return [part for part in parts if part not in ("", ".")]
