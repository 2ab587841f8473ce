"""The v1/v2 paths: retired on 2024-06-30 (410 for every call), or, by switch, as they answered while they lived."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.http.keys import KeyRing
from spark_klaviyo.simulator.http.queries import read_query
from spark_klaviyo.simulator.http.wire import Reply, Request, encode, json_reply
from spark_klaviyo.simulator.legacy.calls import CALLS, LegacyRefused
from spark_klaviyo.simulator.legacy.track import TRACKS
from spark_klaviyo.simulator.state.account import Account

PATHS = re.compile(r"/api/(v1|v2|track|identify)(/|$)")
# production reports 2024-07: plain object, no `errors`
RETIRED = {
    "message": "This API has been retired and is no longer available. Please see our migration resources: "
    "https://developers.klaviyo.com/en/docs/migration_resources"
}
JSON = "application/json"
BAD_KEY = "The API key specified is invalid."

Call: TypeAlias = Callable[[Account, JsonObject, tuple[str, ...]], tuple[int, Any]]


class Legacy:
    """v2 errors are `{"detail"}`, v1 errors `{"status", "message"}` (retired SDKs)."""

    def __init__(self, account: Account, keys: KeyRing) -> None:
        self._account = account
        self._keys = keys
        self._calls = [(method, re.compile(f"{path}/?\\Z"), run) for method, path, run in CALLS]
        self._tracks = dict(TRACKS)

    def serves(self, path: str) -> bool:
        """Whether a path belongs to v1 or v2."""
        return PATHS.match(path) is not None

    def answer(self, request: Request) -> Reply:
        """410, or the old answer."""
        if self._account.switches.legacy == "retired":
            return _named(json_reply(410, RETIRED, media_type=JSON), "legacy")
        path = request.path.rstrip("/")
        if path in self._tracks:
            # public reports: text 1 or 0; the key is not checked
            with self._account.lock:
                text = self._tracks[path](self._account, _payload(request))
            return Reply(200, {"Content-Type": "text/plain"}, text.encode(), f"legacy {path.rpartition('/')[2]}")
        return self._call(request, path)

    def _call(self, request: Request, path: str) -> Reply:
        given = _arguments(request)
        for method, pattern, run in self._calls:
            match = pattern.match(path)
            if match and method == request.method:
                good = self._keys.is_good(_key(request, given))
                reply = self._run(run, given, match.groups(), path) if good else _refusal(path, 403, BAD_KEY)
                return _named(reply, f"legacy {pattern.pattern[:-4]}")
        return _refusal(path, 404, "Not found.")

    def _run(self, run: Call, given: JsonObject, places: tuple[str, ...], path: str) -> Reply:
        try:
            with self._account.lock:
                status, document = run(self._account, given, places)
        except LegacyRefused as refusal:
            return _refusal(path, refusal.status, refusal.detail)
        return Reply(status, {"Content-Type": JSON}, b"" if document is None else encode(document))


def _named(reply: Reply, operation: str) -> Reply:
    reply.operation = operation
    return reply


def _refusal(path: str, status: int, detail: str) -> Reply:
    v1 = path.startswith("/api/v1")
    return json_reply(status, {"status": status, "message": detail} if v1 else {"detail": detail}, media_type=JSON)


def _key(request: Request, given: JsonObject) -> str:
    # retired SDKs: in the body, in the query, or as a header
    return str(given.get("api_key") or request.headers.get("api-key") or "")


def _arguments(request: Request) -> JsonObject:
    """Query and body together; a body that is neither JSON nor a form is no argument."""
    given: JsonObject = dict(read_query(request.target))
    body = request.body
    if body.lstrip()[:1] == b"{":
        try:
            given.update(json.loads(body))
        except ValueError:
            return given
    elif body:
        given.update(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return given


def _payload(request: Request) -> str:
    """track and identify: `data` in the query (base64) or in a form field (JSON)."""
    query = read_query(request.target)
    if "data" in query:
        return query["data"]
    text = request.body.decode("utf-8", "replace")
    return text if text.lstrip().startswith("{") else dict(parse_qsl(text)).get("data", "")
