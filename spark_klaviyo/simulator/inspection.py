"""Looking inside over HTTP, outside `/api`: `GET /__state`, `GET /__requests`, `POST /__reset`, any `/__sink...`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from spark_klaviyo.simulator.http.queries import read_query
from spark_klaviyo.simulator.http.wire import Reply, Request, json_reply
from spark_klaviyo.simulator.recorded import RecordedRequest
from spark_klaviyo.simulator.state.account import Account

JSON = "application/json"
PREFIX = "/__"


def state(account: Account, request: Request) -> Reply:
    """Counts, lists, jobs and the first profiles (`?limit=`, 20 unless given)."""
    limit = int(read_query(request.target).get("limit", "20"))
    with account.lock:
        document = {
            "account": account.switches.account,
            "counts": {
                "profiles": len(account.profiles.by_id),
                "events": len(account.events),
                "jobs": len(account.jobs.by_id),
                "catalog_items": len(account.items),
                "catalog_variants": len(account.variants),
                "catalog_categories": len(account.categories),
                "coupon_codes": len(account.coupon_codes),
                "records": len(account.records),
                "deleted": len(account.deleted),
            },
            "lists": [{"id": held.id, "name": held.name, "members": len(held)} for held in account.lists.values()],
            "jobs": [
                {"id": job.id, "type": job.family.kind, "status": job.status, "total": job.total}
                for job in account.jobs.by_id.values()
            ],
            "profiles": list(islice(account.profiles.by_id.values(), limit)),
        }
        return json_reply(200, document, media_type=JSON)


def requests(recorded: Sequence[RecordedRequest], counts: dict[str, int]) -> Reply:
    """The request log with simulated times, without bodies and headers, and the counts by operation and status."""
    rows = [
        {
            "at": row.at,
            "method": row.method,
            "path": row.path,
            "operation": row.operation,
            "status": row.status,
            "bytes": len(row.body),
        }
        for row in recorded
    ]
    return json_reply(200, {"counts": counts, "requests": rows}, media_type=JSON)
