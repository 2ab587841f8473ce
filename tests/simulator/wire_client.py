"""A plain HTTP client without retries or redirects, and body builders, for the simulator's tests."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spark_klaviyo.simulator import KlaviyoSimulator

REVISION = "2026-10-15"
HEADERS = {
    "Authorization": "Klaviyo-API-Key pk_test",
    "revision": REVISION,
    "Content-Type": "application/vnd.api+json",
    "Accept": "application/vnd.api+json",
}


@dataclass
class ManualClock:
    """A clock that a test moves, for `KlaviyoSimulator(clock=...)`."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class Got:
    """One reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def errors(self) -> list[Any]:
        found: list[Any] = self.json["errors"]
        return found

    @property
    def pointers(self) -> list[str]:
        return [error["source"]["pointer"] for error in self.errors]


def call(
    klaviyo: KlaviyoSimulator,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str | None] | None = None,
) -> Got:
    """One request on a connection of its own; a header of None is left out."""
    host, _, port = klaviyo.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    sent = {name: value for name, value in {**HEADERS, **(headers or {})}.items() if value is not None}
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, raw, sent)
        reply = connection.getresponse()
        return Got(reply.status, dict(reply.getheaders()), reply.read())
    finally:
        connection.close()


def profile(**attributes: Any) -> dict[str, Any]:
    return {"type": "profile", "attributes": attributes}


def import_body(rows: Iterable[Mapping[str, Any]], *lists: str) -> dict[str, Any]:
    """Rows are attributes, or whole resources where they hold `attributes`."""
    entries = [dict(row) if "attributes" in row else profile(**row) for row in rows]
    data: dict[str, Any] = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": entries}}}
    if lists:
        data["relationships"] = {"lists": {"data": [{"type": "list", "id": list_id} for list_id in lists]}}
    return {"data": data}


def import_rows(klaviyo: KlaviyoSimulator, rows: Iterable[Mapping[str, Any]], *lists: str) -> Got:
    return call(klaviyo, "POST", "/api/profile-bulk-import-jobs", import_body(rows, *lists))


def subscribe_body(rows: Iterable[dict[str, Any]], list_id: str | None = None, **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "type": "profile-subscription-bulk-create-job",
        "attributes": {**more, "profiles": {"data": [profile(**row) for row in rows]}},
    }
    if list_id:
        data["relationships"] = {"list": {"data": {"type": "list", "id": list_id}}}
    return {"data": data}


def unsubscribe_body(emails: Iterable[str], list_id: str | None = None) -> dict[str, Any]:
    off = {"email": {"marketing": {"consent": "UNSUBSCRIBED"}}}
    body = subscribe_body([{"email": email, "subscriptions": off} for email in emails], list_id)
    body["data"]["type"] = "profile-subscription-bulk-delete-job"
    return body


def event(name: str = "Placed Order", **attributes: Any) -> dict[str, Any]:
    metric = {"data": {"type": "metric", "attributes": {"name": name}}}
    return {"type": "event", "attributes": {"properties": {}, "metric": metric, **attributes}}


def single_event(who: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    body = event(**attributes)
    body["attributes"]["profile"] = {"data": profile(**who)}
    return {"data": body}


def events_body(*groups: tuple[dict[str, Any], list[dict[str, Any]]]) -> dict[str, Any]:
    data = [
        {"type": "event-bulk-create", "attributes": {"profile": {"data": profile(**who)}, "events": {"data": events}}}
        for who, events in groups
    ]
    return {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": data}}}}


def item(external_id: str, **attributes: Any) -> dict[str, Any]:
    given = {
        "external_id": external_id,
        "title": f"Item {external_id}",
        "description": "A thing.",
        "url": "https://x.example/i",
    }
    return {"type": "catalog-item", "attributes": {**given, **attributes}}


def item_id(external_id: str, kind: str = "catalog-item") -> dict[str, str]:
    return {"type": kind, "id": f"$custom:::$default:::{external_id}"}


def catalog_job(kind: str, verb: str, field: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": {"type": f"{kind}-bulk-{verb}-job", "attributes": {field: {"data": rows}}}}


def code(coupon: str, unique_code: str) -> dict[str, Any]:
    return {
        "type": "coupon-code",
        "attributes": {"unique_code": unique_code},
        "relationships": {"coupon": {"data": {"type": "coupon", "id": coupon}}},
    }


def new(kind: str, **attributes: Any) -> dict[str, Any]:
    return {"data": {"type": kind, "attributes": attributes}}
