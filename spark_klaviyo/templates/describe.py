"""Templates in words, in a table and for JSON, from the same data that the planner reads: the command `templates`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from spark_klaviyo.templates.limits import MAX_BODY
from spark_klaviyo.templates.model import Caution, FieldSpec, Setting, Template


def describe(template: Template) -> str:
    """All there is to know of a template: settings, columns with types, limits, outcome, resending, scopes."""
    return "\n".join(_lines(template)) + "\n"


def size_of(template: Template) -> str:
    """How much one request holds: `10,000 rows, 5 MB, 100 KB a row`."""
    limits = template.limits
    rows = "1 row" if limits.max_rows == 1 else f"{limits.max_rows:,} rows"
    total = [_bytes(limits.max_bytes)] if limits.max_rows > 1 or limits.max_bytes != MAX_BODY else []
    alone = [f"{_bytes(limits.max_row_bytes)} a row"] if limits.max_row_bytes else []
    return ", ".join([rows, *total, *alone])


def quota_of(template: Template) -> str:
    """The published windows: `10/s, 150/min`."""
    units = {1.0: "s", 60.0: "min", 86_400.0: "day"}
    return ", ".join(f"{count:,}/{units[seconds]}" for count, seconds in template.quota.windows)


def _lines(template: Template) -> Iterator[str]:
    api = f"  (api={template.api})" if template.is_retired else ""
    yield f"{template.name}{api}: {template.summary}"
    yield f"  {template.method} {template.path}"
    yield f"  a request   {size_of(template)}; {quota_of(template)}"
    yield f"  a row is    {template.confirmation.text}"
    yield f"  a resend    {_resend(template)}"
    yield f"  scopes      {', '.join(template.scopes) or 'none named'}"
    if template.deletes:
        yield "  deletes: give confirm_deletion with the exact number of rows"
    yield from _block("settings", [_setting(setting) for setting in template.settings])
    yield from _block("columns", [_column(known, template) for known in template.fields])
    yield f"  other columns  {_loose(template)}"
    yield from (f"  note: {_caution(caution)}" for caution in template.cautions)
    yield from (f"  note: {note}" for note in template.notes)


def _caution(caution: Caution) -> str:
    names = [name.removeprefix("column:") for name in caution.unless if name != "column:record"]
    return f"without {' or '.join(names)}: {caution.text}"


def _block(title: str, lines: list[tuple[str, str]]) -> Iterator[str]:
    width = max((len(name) for name, _ in lines), default=0)
    if lines:
        yield f"  {title}"
    yield from (f"    {name:<{width}}  {text}" for name, text in lines)


def _setting(setting: Setting) -> tuple[str, str]:
    words = [
        setting.help,
        "required" if setting.required else "",
        f"one of {', '.join(setting.choices)}" if setting.choices else "",
        "column:NAME takes it from each row" if setting.per_row else "",
        "a row without a value is refused" if setting.harm_if_empty else "",
        "name:TEXT looks it up" if setting.lookup_kind else "",
    ]
    return setting.name, "; ".join(filter(None, words))


def _column(known: FieldSpec, template: Template) -> tuple[str, str]:
    words = [
        known.form.text,
        "required" if known.required else "",
        "identifier" if known.name in template.identifiers else "",
        f"one of {', '.join(known.choices)}" if known.choices else "",
        f"at most {known.max_length} characters" if known.max_length else "",
        f"at most {_bytes(known.max_bytes)}" if known.max_bytes else "",
        f"matches {known.pattern}" if known.pattern else "",
        f"from revision {known.since} on" if known.since else "",
        f"needs {', '.join(known.requires)}" if known.requires else "",
        f"also {', '.join(known.other_names)}" if known.other_names else "",
        known.help,
    ]
    return known.name, "; ".join(filter(None, words))


def _loose(template: Template) -> str:
    if template.raw_rows:
        return "are sent as they are"
    if not template.properties_path:
        return "have no place: a SchemaError, unless other_columns=drop"
    most = f" (at most {template.record_limits.max_properties})" if template.record_limits.max_properties else ""
    return f"become {'.'.join(template.properties_path[-1:])}{most}"


def _resend(template: Template) -> str:
    if template.idempotent and any("patch_properties.append" in known.name for known in template.fields):
        return "is idempotent, unless rows add to arrays (patch_properties.append), as any of record_column may"
    if template.idempotent:
        return "is idempotent"
    return "could do it twice: rows whose answer was lost are rejected as in_doubt, unless resend=always"


def _bytes(size: int) -> str:
    return f"{size // 1_000_000} MB" if size >= 1_000_000 else f"{size // 1_000} KB"


# --- as the command `templates` lists them ----------------------------------------------------------


def facts(template: Template) -> dict[str, object]:
    """A template as JSON can hold it."""
    plain = ("name", "summary", "method", "path", "idempotent", "scopes", "notes")
    return {name: getattr(template, name) for name in plain} | {
        "api": str(template.api),
        "limits": asdict(template.limits),
        "quota": template.quota.windows,
        "outcome": str(template.confirmation),
        "settings": [asdict(setting) for setting in template.settings],
        "columns": [_column_facts(column, template) for column in template.fields],
    }


def _column_facts(column: FieldSpec, template: Template) -> dict[str, object]:
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
