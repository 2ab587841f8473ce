"""Every endpoint the simulator serves."""

from __future__ import annotations

from spark_klaviyo.simulator.api import accounts, catalog, catalog_jobs, coupons, events, job_reads, objects, tags
from spark_klaviyo.simulator.api.people import consent, imports, lists, profiles, push, suppression
from spark_klaviyo.simulator.http.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *imports.OPERATIONS,
    *job_reads.OPERATIONS,
    *profiles.OPERATIONS,
    *lists.OPERATIONS,
    *consent.OPERATIONS,
    *suppression.OPERATIONS,
    *push.OPERATIONS,
    *events.OPERATIONS,
    *catalog.OPERATIONS,
    *catalog_jobs.OPERATIONS,
    *coupons.OPERATIONS,
    *objects.OPERATIONS,
    *tags.OPERATIONS,
    *accounts.OPERATIONS,
)
