"""The members of a task's report as JSON text, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.report.counts.samples import Job, RejectSample, SlowRequest
from spark_klaviyo.report.counts.series import Series

_SAMPLES = {"rejects_sample": RejectSample, "receipts_sample": Receipt, "slowest": SlowRequest, "jobs": Job}
_EMPTY: tuple[object, ...] = (0, None, {}, [])


def write_members(members: Mapping[str, Any]) -> str:
    """One JSON object; samples are arrays of their fields' values in order, empty members are left out."""
    forms = {name: _to_json(name, value) for name, value in members.items()}
    kept = {name: form for name, form in forms.items() if form not in _EMPTY}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def read_members(text: str) -> dict[str, Any]:
    """The members of a text that `write_members` made."""
    return {name: _from_json(name, form) for name, form in json.loads(text).items()}


def _to_json(name: str, value: Any) -> Any:
    if name in _SAMPLES:
        return [list(asdict(entry).values()) for entry in value]
    return value.to_list() if isinstance(value, Series) else value


def _from_json(name: str, form: Any) -> Any:
    if name in _SAMPLES:
        return [_SAMPLES[name](*entry) for entry in form]
    if name == "statuses":
        return {int(status): times for status, times in form.items()}
    if name == "examples":
        return {code: [(partition, row) for partition, row in pairs] for code, pairs in form.items()}
    if name == "series":
        return Series.from_list(form)
    return tuple(form) if name == "stopped" else form
