"""`templates [NAME]`: every endpoint template on a line, or all there is to know of one, as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from spark_klaviyo.errors import OptionError
from spark_klaviyo.templates import CURRENT, LEGACY, describe, find_template, templates
from spark_klaviyo.templates.describe import quota_of, size_of
from spark_klaviyo.templates.model import Template


def list_all(*, as_json: bool) -> str:
    """All templates, a line each."""
    found = templates()
    return _json([facts(template) for template in found]) if as_json else _table(found)


def list_one(name: str, *, as_json: bool) -> str:
    """One template in each form that it has. Raises OptionError with the nearest names where there is none."""
    forms = [template for held in (CURRENT, LEGACY) if (template := held.get(name)) is not None]
    if not forms:
        find_template(name)
        raise OptionError(f"template: there is no {name!r}")
    return _json([facts(template) for template in forms]) if as_json else "\n".join(map(describe, forms))


def facts(template: Template) -> dict[str, object]:
    """What a program may want to know of a template."""
    return {
        "name": template.name,
        "api": str(template.api),
        "summary": template.summary,
        "method": template.method,
        "path": template.path,
        "limits": asdict(template.limits),
        "quota": [list(window) for window in template.quota.windows],
        "outcome": str(template.confirmation),
        "harmless": template.idempotent,
        "scopes": list(template.scopes),
        "settings": [asdict(setting) for setting in template.settings],
        "columns": [
            {"name": known.name, "form": str(known.form), "required": known.required, "identifier": known.name in ids}
            for ids in [template.identifiers]
            for known in template.fields
        ],
        "notes": list(template.notes),
    }


def _table(found: Iterable[Template]) -> str:
    rows = [("template", "a request", "quota", "a row is", "")]
    rows += [
        (
            template.name + (f" (api={template.api})" if template.is_retired else ""),
            size_of(template),
            quota_of(template),
            template.confirmation.text.partition(":")[0].removesuffix(" that is followed to its end"),
            template.summary,
        )
        for template in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = (
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    )
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
