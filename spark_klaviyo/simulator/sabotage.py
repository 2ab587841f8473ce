"""What an injected fault does to a request."""

from __future__ import annotations

from collections.abc import Iterable

from spark_klaviyo.simulator.errors import Refused, conflict, error, missing_scopes, not_found, server_error
from spark_klaviyo.simulator.faults import Fault
from spark_klaviyo.simulator.http.operation import Operation
from spark_klaviyo.simulator.http.wire import Reply

CHALLENGE = (
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser.</body></html>"
)
HTML = "text/html; charset=UTF-8"
AFTER_COMMIT = {"reset_after": "reset", "hang_after": "hang", "garbage": "garbage"}


class Sabotaged(Refused):
    """A refusal whose body is not Klaviyo's."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(status, [], headers)
        self.body = body


def in_front(fault: Fault) -> Reply:
    """What never reaches the application."""
    if fault.kind == "cdn_403":  # recorded 2025-04: a challenge page of the CDN, not JSON
        return Reply(403, {"Content-Type": HTML, "cf-mitigated": "challenge"}, CHALLENGE)
    if fault.kind == "redirect":
        return Reply(302, {"Location": fault.location, "Content-Type": HTML}, b"<html>Moved</html>")
    return Reply(0, act="reset" if fault.kind == "reset_before" else "hang")


def at_endpoint(faults: Iterable[Fault], operation: Operation) -> None:
    """Refuse with the status a fault asks for."""
    for fault in faults:
        if fault.kind == "conflict_409":
            raise conflict("/data", fault.detail or "The request conflicts with another one.")
        if fault.kind == "status":
            raise _status(fault, operation)


def _status(fault: Fault, operation: Operation) -> Refused:
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    if fault.body == "html":
        page = f"<html><head><title>{fault.status}</title></head><body><h1>{fault.status}</h1></body></html>"
        return Sabotaged(fault.status, {"Content-Type": HTML, **headers}, page.encode())
    if fault.body != "jsonapi":
        body = b"" if fault.body == "empty" else fault.body.encode()
        return Sabotaged(fault.status, {**({"Content-Type": "text/plain"} if body else {}), **headers}, body)
    refusal = _document(fault, operation)
    refusal.headers.update(headers)
    return refusal


def _document(fault: Fault, operation: Operation) -> Refused:
    if fault.status == 403:
        return missing_scopes(operation.scopes.split())
    if fault.status == 429:
        wait = fault.retry_after if isinstance(fault.retry_after, int) else 0
        detail = f"Request was throttled. Expected available in {wait} second{'' if wait == 1 else 's'}."
        return Refused(429, [error(429, "throttled", "Request was throttled.", detail, {"pointer": "/data"})])
    if fault.status >= 500:
        return server_error(fault.status)
    if fault.status == 404:
        return not_found(fault.detail or "Not found.")
    source = {} if fault.pointer is None else {"pointer": fault.pointer}
    return Refused(
        fault.status, [error(fault.status, "invalid", "Invalid input.", fault.detail or "Invalid input.", source)]
    )


def at_status(fault: Fault, operation: Operation) -> Reply | None:
    """A status read that fails: job gone, key not allowed, or an HTML page."""
    if fault.kind == "job_gone":
        raise not_found(fault.detail or "Invalid job id")
    if fault.kind == "status_refused":
        raise missing_scopes(operation.scopes.split())
    return Reply(200, {"Content-Type": HTML}, CHALLENGE)


def after_commit(faults: Iterable[Fault], reply: Reply) -> Reply:
    """The request was served, yet its answer is lost, cut, unreadable or slow."""
    for fault in faults:
        if fault.kind in AFTER_COMMIT:
            reply.act = AFTER_COMMIT[fault.kind]
        elif fault.kind == "drip":
            reply.drip_seconds = fault.seconds
        elif fault.kind == "truncated":
            reply.body = reply.body[: len(reply.body) // 2]
    return reply


def sabotaged_reply(refusal: Sabotaged) -> Reply:
    """The reply of a refusal whose body is not Klaviyo's."""
    return Reply(refusal.status, dict(refusal.headers), refusal.body)
