"""The identifiers of a row, read from its record: what joins a rejected row with its source."""

from __future__ import annotations

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.json_paths import get
from spark_klaviyo.templates.model import Template

NAMES = ("email", "phone_number", "external_id", "id")


def who(template: Template, record: str) -> dict[str, str | None]:
    """The email, phone number, external id and id that a record holds; None for those it has not."""
    try:
        value = exact_json.loads(record)
    except (ValueError, RecursionError):
        return dict.fromkeys(NAMES)
    found = {name: next((get(value, at) for at in _places(template, name)), None) for name in NAMES}
    return {name: None if text in (None, "") else str(text) for name, text in found.items()}


def _places(template: Template, name: str) -> list[tuple[str, ...]]:
    places = [known.json_path for known in template.fields if known.name.rpartition(".")[2] == name]
    return places or [(name,)]
