"""Counts a rejected row, and finds the identifiers in its record: they join it with the source."""

from __future__ import annotations

from typing import Any

from spark_klaviyo.core.exact_json import get, try_loads
from spark_klaviyo.core.models import RejectedRow, Rejection
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.templates.model import Template

IDENTIFIERS = ("email", "phone_number", "external_id", "id")


def count_rejected(plan: WritePlan, rejection: Rejection, report: TaskReport, partition_id: int) -> RejectedRow:
    """Count a rejected row, and find the identifiers in its record."""
    identifiers = identifiers_of(plan.template, rejection.record)
    row = RejectedRow(run_id=plan.run_id, partition_id=partition_id, **identifiers, **vars(rejection))
    report.reject(row)
    return row


def identifiers_of(template: Template, record: str) -> dict[str, Any]:
    """The email, phone number, external id and id of a record (JSON text); None for those that it lacks."""
    value = try_loads(record)
    found: dict[str, Any] = {}
    for name in IDENTIFIERS:
        paths = [known.json_path for known in template.fields if known.name.rpartition(".")[2] == name]
        text = get(value, paths[0] if paths else (name,))
        found[name] = None if text in (None, "") else str(text)
    return found
