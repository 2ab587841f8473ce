"""Refusals and the two error documents of Klaviyo.

recorded 2026-09: (a) refused by the endpoint: keys id, status, code, title, detail, source, links, meta;
(b) refused before it (401, 403 permission_denied, 404, 500): no links, no meta, pointer always `/data/`.
The id of each error equals the reply's X-Klaviyo-Req-Id, so the gate puts it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]

RATE_LIMIT_DOCS = "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling#rate-limits"


class Refused(Exception):
    """The request is answered with an error document, and no state changes."""

    def __init__(self, status: int, errors: Sequence[JsonObject], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.errors = list(errors)
        self.headers = dict(headers or {})


def error(
    status: int, code: str, title: str, detail: str, source: JsonObject, meta: JsonObject | None = None
) -> JsonObject:
    """One error of shape (a), its id still to come."""
    return {
        "status": status,
        "code": code,
        "title": title,
        "detail": detail,
        "source": source,
        "links": {},
        "meta": meta or {},
    }


def invalid(pointer: str, detail: str) -> JsonObject:
    """A 400 error at a pointer into the body."""
    return error(400, "invalid", "Invalid input.", detail, {"pointer": pointer})


def bad_request(pointer: str, detail: str) -> Refused:
    """One 400, as every recorded one."""
    return Refused(400, [invalid(pointer, detail)])


def bad_parameter(parameter: str, detail: str) -> Refused:
    """recorded 2026-09: refusals of filter and sort carry source.parameter instead of a pointer."""
    return Refused(400, [error(400, "invalid", "Invalid input.", detail, {"parameter": parameter})])


def conflict(pointer: str, detail: str, code: str = "conflict", meta: JsonObject | None = None) -> Refused:
    """recorded 2026-09: 409 of duplicate profiles and of category-item links that exist."""
    return Refused(409, [error(409, code, "Conflict.", detail, {"pointer": pointer}, meta)])


def forbidden(detail: str) -> Refused:
    """recorded 2026-09: the account lacks a product (push tokens, object types)."""
    return Refused(403, [error(403, "forbidden", "Forbidden.", detail, {"pointer": "/data"})])


def _before(status: int, code: str, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Refused:
    document = {"status": status, "code": code, "title": title, "detail": detail, "source": {"pointer": "/data/"}}
    return Refused(status, [document], headers)


def not_found(detail: str, code: str = "not_found", title: str = "Not found.") -> Refused:
    """404 in shape (b); only the detail differs from resource to resource."""
    return _before(404, code, title, detail)


def missing_scopes(scopes: Sequence[str]) -> Refused:
    """recorded 2024: 403 permission_denied names the scopes the key lacks."""
    detail = f"Your API key is missing required scopes: {', '.join(scopes)}"
    return _before(403, "permission_denied", "You do not have permission to perform this action.", detail)


def bad_private_key() -> Refused:
    """recorded 2026-03: header absent, of another scheme, or with an unknown private key."""
    return _before(
        401,
        "not_authenticated",
        "Authentication credentials were not provided.",
        "Missing or invalid private key.",
        {"WWW-Authenticate": "Bearer, Klaviyo-API-Key"},
    )


def bad_token() -> Refused:
    """recorded 2026-09: an OAuth token not accepted; `status` comes last."""
    text = "Incorrect authentication credentials."
    document = {
        "code": "authentication_failed",
        "title": text,
        "detail": text,
        "source": {"pointer": "/data/"},
        "status": 401,
    }
    return Refused(401, [document], {"WWW-Authenticate": "Bearer, Klaviyo-API-Key"})


def throttled(wait_seconds: int) -> Refused:
    """recorded 2026-09: 429 with Retry-After and without any RateLimit header."""
    unit = "second" if wait_seconds == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {wait_seconds} {unit}."
    document = error(429, "throttled", "Request was throttled.", detail, {"pointer": "/data"})
    document["links"] = {"type": RATE_LIMIT_DOCS}
    return Refused(429, [document], {"Retry-After": str(wait_seconds)})


def server_error(status: int = 500) -> Refused:
    """recorded 2026-09: 500, code `error`, same title and detail."""
    text = "A server error occurred."
    return _before(status, "error", text, text)


def wrong_method(method: str) -> Refused:
    """unsettled: the wording of a 405 was never recorded."""
    return _before(405, "method_not_allowed", "Method not allowed.", f'Method "{method}" not allowed.')


def wrong_media_type(media_type: str) -> Refused:
    """unsettled: the wording of a 415 was never recorded."""
    detail = f'Unsupported media type "{media_type}" in request.'
    return _before(415, "unsupported_media_type", "Unsupported media type.", detail)


def too_large(status: int, max_bytes: int) -> Refused:
    """unsettled: 413 or 400, and the wording."""
    detail = f"The request body is larger than {max_bytes} bytes."
    return Refused(status, [error(status, "invalid", "Invalid input.", detail, {"pointer": "/data"})])
