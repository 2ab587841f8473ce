"""What passes between the server and the gate: a request as it came, a reply as it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spark_klaviyo.simulator.recorded import Headers

JSON_API = "application/vnd.api+json"
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class Request:
    """Method, target (path and query as sent), headers and body."""

    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass
class Reply:
    """Status, headers and body; or what to do instead of sending them."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    operation: str = ""
    act: str = "send"  # "send" | "reset" | "hang" | "garbage"
    delay: float = 0.0
    drip_seconds: float = 0.0  # for all bytes, which then leave one by one


def encode(document: Any) -> bytes:
    """A document as compact UTF-8 JSON."""
    return _ENCODER.encode(document).encode("utf-8", "surrogatepass")


def json_reply(
    status: int, document: Any, headers: Mapping[str, str] | None = None, media_type: str = JSON_API
) -> Reply:
    """A reply with a JSON body, or with none: empty 202 and 204 carry no Content-Type (recorded)."""
    extra = dict(headers or {})
    if document is None:
        return Reply(status, extra)
    return Reply(status, {"Content-Type": media_type, **extra}, encode(document))
