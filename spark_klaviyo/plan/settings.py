"""A template's settings in a plan: fixed ones fill body, path and record; `column:NAME` takes them from each row.

In body and path such a value steers a request, so that rows are grouped by it (an aside); in the record it is a field
like any other, as if `fields` had said so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spark_klaviyo.options.choices import Nulls
from spark_klaviyo.plan.manual import manual_mode
from spark_klaviyo.plan.mapping import ColumnMap
from spark_klaviyo.plan.model import RequestParam
from spark_klaviyo.plan.shape import Fixed, Leaf, LeafForm, Node
from spark_klaviyo.plan.tree import setting_places
from spark_klaviyo.plan.types import Field
from spark_klaviyo.templates.model import Template

if TYPE_CHECKING:
    from spark_klaviyo.options.parse import Options

COLUMN = "column:"
APPEND = "patch_properties.append"
MANY_VALUED = frozenset({"array", "map", "struct", "binary", "variant"})


def given_settings(options: Options, template: Template) -> dict[str, str]:
    """The settings that have a value, defaults included."""
    given = {setting.name: options.settings.get(setting.name, setting.default) for setting in template.settings}
    return {name: str(value) for name, value in given.items() if value is not None}


def fixed_settings(options: Options, template: Template) -> dict[str, str]:
    """Those with one value for all rows."""
    return {name: value for name, value in given_settings(options, template).items() if not value.startswith(COLUMN)}


def fields_of_settings(template: Template) -> dict[str, str]:
    """Settings that stand for a field of the record: name of the setting -> path of the field."""
    by_place = {known.json_path: known.name for known in template.fields}
    placed = {name: by_place[at] for name, at in setting_places(template.record).items() if at in by_place}
    names = {setting.name for setting in template.settings}
    return placed | {known.name: known.name for known in template.fields if known.name in names}


def fields_with_settings(options: Options, template: Template) -> dict[str, str]:
    """`fields`, and the record's settings that come from columns."""
    paths = fields_of_settings(template)
    columns = _per_row(options, template)
    return {**options.fields, **{paths[name]: column for name, column in columns.items() if name in paths}}


def settled_fields(options: Options, template: Template) -> frozenset[str]:
    """Fields that a setting gives for all rows."""
    paths = fields_of_settings(template)
    return frozenset(paths[name] for name in fixed_settings(options, template) if name in paths)


def constant(name: str, options: Options, template: Template) -> Node | None:
    """What "{setting}" in a template's constants stands for; None where a column gives it, or nothing does."""
    value = fixed_settings(options, template).get(name)
    setting = next((setting for setting in template.settings if setting.name == name), None)
    if value is None or setting is None:
        return None
    if setting.takes_several:
        return Fixed([with_prefix(part.strip(), setting.prefix) for part in value.split(",")])
    return Fixed(value == "true") if setting.is_flag else Fixed(with_prefix(value, setting.prefix))


def request_params(
    options: Options, template: Template, columns: Sequence[Field]
) -> tuple[list[RequestParam], list[str]]:
    """Per-row values that stand outside the record, and complaints about columns that are not there."""
    inside = fields_of_settings(template)
    wanted = {name: column for name, column in _per_row(options, template).items() if name not in inside}
    if template.is_manual:
        wanted |= {name: name for name in manual_mode.placeholders(options)}
    if (options.default_country or "").startswith(COLUMN):
        wanted["default_country"] = str(options.default_country).removeprefix(COLUMN)
    free = set(manual_mode.names_in_body(options)) if template.is_manual else set()  # JSON of any type
    by_name = {column.name: column for column in columns}
    complaints = [
        f"{name}: the DataFrame has no column {column!r}; it has {', '.join(list(by_name)[:20])}"
        for name, column in wanted.items()
        if column not in by_name
    ]
    complaints += [
        f"{name}: column {column!r} is {by_name[column].type.name}; it must hold one value a row, as text or a number"
        for name, column in wanted.items()
        if column in by_name and by_name[column].type.name in MANY_VALUED and name not in free
    ]
    params = [
        RequestParam(name, Leaf((column,), by_name[column].type, LeafForm.TEXT))
        for name, column in wanted.items()
        if column in by_name
    ]
    return params, complaints


def path_params(template: Template, found: ColumnMap) -> tuple[RequestParam, ...]:
    """The `{id}` of a single-record path, from the field that stands at this place of the record."""
    by_place = {known.json_path: known for known in found.known.values()}
    return tuple(
        RequestParam(
            name, Leaf(found.leaves[known.name].source, found.leaves[known.name].type, LeafForm.TEXT, known.prefix)
        )
        for name in template.path_fields
        if (known := by_place.get((name,))) is not None
    )


def appends(found: ColumnMap) -> bool:
    """Whether rows add to arrays of a profile, which a second sending would do twice."""
    return any(APPEND in path for _, path in found.mapped)


def may_append(template: Template) -> bool:
    """Whether ready-made records could do so: what is in them is not known when the write is planned."""
    return any(APPEND in known.name for known in template.fields)


def cautions(options: Options, template: Template, fields: Mapping[str, object]) -> tuple[str, ...]:
    """What has to be said about this write before it begins."""
    there = {name for name, value in given_settings(options, template).items() if value != "false"}
    there |= {f"column:{path}" for path in fields} | ({"column:record"} if options.record_column else set())
    said = [caution.text for caution in template.cautions if not there & set(caution.unless)]
    if options.nulls is Nulls.SEND and not (template.null_clears_field or template.raw_rows or template.is_manual):
        said.append(f"nulls=send means nothing to {template.name}: nulls are left out")
    return tuple(said)


def _per_row(options: Options, template: Template) -> dict[str, str]:
    """Setting -> column."""
    given = given_settings(options, template).items()
    return {name: value.removeprefix(COLUMN) for name, value in given if value.startswith(COLUMN)}


def with_prefix(value: str, prefix: str) -> str:
    """The value behind its prefix, unless it begins with it already."""
    return value if value.startswith(prefix) else prefix + value
