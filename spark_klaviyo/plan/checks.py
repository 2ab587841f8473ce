"""What has to be looked at before sending: one `Checks` from the template, the mapping and the options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from spark_klaviyo.plan.channels import OWN, check_channels
from spark_klaviyo.plan.model import Checks, FieldCheck, RequiresField
from spark_klaviyo.templates.model import FieldSpec, Template

if TYPE_CHECKING:
    from spark_klaviyo.options.parse import Options
    from spark_klaviyo.plan.mapping import ColumnMap

HOW = "backfill"  # whether an event starts flows, and no part of what happened
LOOKED_AT = frozenset({"email", "phone", "datetime", "date"})


def make_checks(options: Options, template: Template, found: ColumnMap | None) -> Checks:
    """The checks of a write; without a mapping (ready-made records, or no schema yet) those of all fields."""
    places = {known.path: known.at for known in template.fields}
    derived = bool(template.unique_id) and (found is None or template.unique_id not in found.leaves)
    needs = tuple(_needs(template, found, places))
    checks = Checks(
        validate=options.validate,
        wanted=tuple(_wanted(known, found, template) for known in _present(template, found)),
        identifiers=tuple(places[path] for path in template.identifiers),
        exactly_one=template.exactly_one,
        key=tuple(places[path] for path in template.key),
        key_with=tuple(places[path] for path in template.key_with),
        max_row_bytes=template.limits.max_row_bytes,
        max_properties=template.max_properties,
        properties_at=template.properties_at,
        max_items=template.max_items,
        max_depth=template.max_depth,
        default_country=options.default_country or "",
        on_bad_phone=options.on_bad_phone,
        every_row=derived or bool(needs) or options.record_column is not None,
        unique_id=places[template.unique_id] if template.unique_id else (),
        unique_id_places=_unique_places(options, template, found),
        unique_id_content=tuple(_content(template)) if template.unique_id else (),
        ready_made=options.record_column is not None,
        look_bytes=_look_bytes(template, found),
        max_string_bytes=template.max_string_bytes,
        needs=needs,
    )
    return check_channels(checks, template, options.settings, found) if template.channels else checks


def _needs(
    template: Template, found: ColumnMap | None, places: Mapping[str, tuple[str, ...]]
) -> Iterator[RequiresField]:
    """What fields that came from columns ask of other fields of the row."""
    for known in template.fields:
        if found is None or known.path in found.leaves:
            yield from (RequiresField(known.at, places[path], f"{known.path} needs {path}") for path in known.together)


def _look_bytes(template: Template, found: ColumnMap | None) -> int | None:
    """A record of at most so many bytes holds no value that is too large."""
    sizes = [known.max_bytes for known in _present(template, found) if known.max_bytes is not None]
    return min([*sizes, *([template.max_string_bytes] if template.max_string_bytes else [])], default=None)


def _present(template: Template, found: ColumnMap | None) -> list[FieldSpec]:
    present = [known for known in template.fields if found is None or known.path in found.leaves]
    if template.channels:
        present = [known for known in present if known.path not in OWN]
    return [known for known in present if _looked_at(known, template)]


def _looked_at(known: FieldSpec, template: Template) -> bool:
    ruled = known.required or known.choices or known.pattern
    sized = known.max_length is not None or known.max_bytes is not None
    return bool(ruled) or sized or known.form in LOOKED_AT or known.path in template.identifiers


def _wanted(known: FieldSpec, found: ColumnMap | None, template: Template) -> FieldCheck:
    return FieldCheck(
        at=known.at,
        path=known.path,
        form=known.form,
        leaf=found.leaves.get(known.path) if found is not None else None,
        required=known.required,
        identifies=known.path in template.identifiers,
        choices=known.choices,
        max_length=known.max_length,
        pattern=known.pattern,
        prefix=known.prefix,
        earliest=known.earliest,
        latest_days=known.latest_days,
        max_bytes=known.max_bytes,
    )


def _content(template: Template) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What an event is: all that a row tells of it, but not how it is sent."""
    yield from ((known.path, known.at) for known in template.fields if known.path not in (template.unique_id, HOW))
    yield "properties", template.properties_at


def _unique_places(options: Options, template: Template, found: ColumnMap | None) -> tuple[tuple[str, ...], ...]:
    """Where the columns of `unique_id_columns` stand in the record."""
    if not options.unique_id_columns or found is None:
        return ()
    paths = {column: path for column, path in found.mapped if path != "dropped"}
    known = {known.path: known.at for known in template.fields}
    places = []
    for column in options.unique_id_columns:
        if column not in paths:
            names = ", ".join(paths)
            found.complaints.append(f"unique_id_columns: {column!r} is no column that is sent; these are: {names}")
            continue
        loose = (*template.properties_at, paths[column].partition(".")[2])
        places.append(known.get(paths[column], loose))
    return tuple(places)
