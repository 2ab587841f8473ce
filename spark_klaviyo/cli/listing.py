"""The endpoint templates as the command `templates` prints them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from spark_klaviyo.templates import CURRENT, LEGACY, find_template
from spark_klaviyo.templates.describe import quota_of, size_of
from spark_klaviyo.templates.model import FieldSpec, Template


def forms_of(name: str) -> list[Template]:
    """A template in each form that it has, current and retired.

    Raises:
        OptionError: There is no such template; the message proposes the nearest names.
    """
    return [forms[name] for forms in (CURRENT, LEGACY) if name in forms] or [find_template(name)]


def facts(template: Template) -> dict[str, object]:
    """A template as JSON can hold it."""
    plain = ("name", "summary", "method", "path", "idempotent", "scopes", "notes")
    return {name: getattr(template, name) for name in plain} | {
        "api": str(template.api),
        "limits": asdict(template.limits),
        "quota": template.quota.windows,
        "outcome": str(template.confirmation),
        "settings": [asdict(setting) for setting in template.settings],
        "columns": [_column(column, template) for column in template.fields],
    }


def _column(column: FieldSpec, template: Template) -> dict[str, object]:
    is_identifier = column.name in template.identifiers
    return {"name": column.name, "form": str(column.form), "required": column.required, "identifier": is_identifier}


def table(templates: Iterable[Template]) -> str:
    """Templates with their limits, one on a line."""
    rows = [("template", "a request", "quota", "a row is", "")]
    rows += [
        (
            template.name + (f" (api={template.api})" if template.is_retired else ""),
            size_of(template),
            quota_of(template),
            template.confirmation.text.partition(":")[0].removesuffix(" that is followed to its end"),
            template.summary,
        )
        for template in templates
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
