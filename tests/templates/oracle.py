"""Two oracles for bodies: the official SDK's models, and the published structure with unknown keys refused."""

from __future__ import annotations

import json
from datetime import date, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]
import pytest

MODELS: Any = pytest.importorskip("openapi_client.models", reason="the official SDK's models are the oracle")
FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("klaviyo_facts.json").read_text())
# Our names for Klaviyo's operations, where they differ.
OPERATIONS = {
    "add_profiles_to_list": "bulk_import_profiles",
    "add_profile_ids_to_list": "add_profiles_to_list",
    "remove_profile_ids_from_list": "remove_profiles_from_list",
}


def operation(template: str) -> dict[str, Any]:
    """The facts of a template's operation."""
    found: dict[str, Any] = FACTS["operations"][OPERATIONS.get(template, template)]
    return found


def through_sdk(template: str, body: Any) -> Any:
    """The body after a passage through the SDK's model, which raises for what it finds wrong.

    The models ignore unknown keys: only a result equal to the body proves anything. Unset keys stay away.
    """
    model = getattr(MODELS, operation(template)["model"])
    held = model.model_validate(body).model_dump(by_alias=True, exclude_unset=True)
    return _plain(held, body)


def _plain(held: Any, given: Any) -> Any:
    """Enums as their values, times as the text given where they mean the same."""
    if isinstance(held, Enum):
        return held.value
    if isinstance(held, datetime):
        same = isinstance(given, str) and datetime.fromisoformat(given.replace("Z", "+00:00")) == held
        return given if same else held.isoformat()
    if isinstance(held, date):
        return held.isoformat()
    if isinstance(held, dict):
        inside = given if isinstance(given, dict) else {}
        return {key: _plain(value, inside.get(key)) for key, value in held.items()}
    if isinstance(held, list):
        others = given if isinstance(given, list) and len(given) == len(held) else [None] * len(held)
        return [_plain(value, other) for value, other in zip(held, others, strict=True)]
    return held


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{schema}", "$defs": FACTS["$defs"]})


def published_complaints(template: str, body: Any) -> list[str] | None:
    """What the published structure finds wrong; None where none is published for the operation."""
    schema = FACTS["bodies"].get(OPERATIONS.get(template, template))
    if schema is None:
        return None
    return [
        f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in _validator(schema).iter_errors(body)
    ]
