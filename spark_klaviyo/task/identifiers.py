"""The identifiers of a rejected row, read from its record: they join it with its source."""

from __future__ import annotations

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.templates.model import JsonPath, Template

NAMES = ("email", "phone_number", "external_id", "id")


def identifiers_of(template: Template, record: str) -> dict[str, str | None]:
    """The email, phone number, external id and id of a record (JSON text); None for those that it lacks."""
    try:
        value = exact_json.loads(record)
    except (ValueError, RecursionError):
        return dict.fromkeys(NAMES)
    found = {name: next((get(value, path) for path in _paths(template, name)), None) for name in NAMES}
    return {name: None if text in (None, "") else str(text) for name, text in found.items()}


def _paths(template: Template, name: str) -> list[JsonPath]:
    paths = [known.json_path for known in template.fields if known.name.rpartition(".")[2] == name]
    return paths or [(name,)]
