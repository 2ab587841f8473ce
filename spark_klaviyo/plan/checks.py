"""What has to be looked at before sending: one `Checks` from the template, the mapping and the options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.channels import OWN, check_channels
from spark_klaviyo.plan.mapping import DROPPED, ColumnMap
from spark_klaviyo.plan.model import Checks, FieldCheck, RequiresField
from spark_klaviyo.templates.model import FieldForm, FieldSpec, Template

HOW = "backfill"  # whether an event starts flows, and no part of what happened
LOOKED_AT = frozenset({FieldForm.EMAIL, FieldForm.PHONE, FieldForm.DATETIME, FieldForm.DATE})


def make_checks(options: Options, template: Template, found: ColumnMap | None) -> Checks:
    """The checks of a write; without a mapping (ready-made records, or no schema yet) those of all fields."""
    places = {known.name: known.json_path for known in template.fields}
    derived = bool(template.unique_id_field) and (found is None or template.unique_id_field not in found.leaves)
    requires = tuple(_requires(template, found, places))
    checks = Checks(
        validate=options.validate,
        fields=tuple(_field_check(known, found, template) for known in _present(template, found)),
        identifiers=tuple(places[path] for path in template.identifiers),
        exactly_one_identifier=template.exactly_one_identifier,
        key=tuple(places[path] for path in template.key),
        key_with=tuple(places[path] for path in template.key_with),
        max_row_bytes=template.limits.max_row_bytes,
        record_limits=template.record_limits,
        properties_path=template.properties_path,
        default_country=options.default_country or "",
        on_bad_phone=options.on_bad_phone,
        every_row=derived or bool(requires) or options.record_column is not None,
        unique_id_path=places[template.unique_id_field] if template.unique_id_field else (),
        unique_id_sources=_unique_places(options, template, found),
        unique_id_content=tuple(_content(template)) if template.unique_id_field else (),
        ready_made=options.record_column is not None,
        max_unchecked_bytes=_max_unchecked_bytes(template, found),
        requires=requires,
    )
    return check_channels(checks, template, template.consent, options.settings, found) if template.consent else checks


def _requires(
    template: Template, found: ColumnMap | None, places: Mapping[str, tuple[str, ...]]
) -> Iterator[RequiresField]:
    """What fields that came from columns ask of other fields of the row."""
    for known in template.fields:
        if found is None or known.name in found.leaves:
            yield from (
                RequiresField(known.json_path, places[other], f"{known.name} needs {other}") for other in known.requires
            )


def _max_unchecked_bytes(template: Template, found: ColumnMap | None) -> int | None:
    """A record of at most so many bytes holds no value that is too large."""
    sizes = [known.max_bytes for known in _present(template, found) if known.max_bytes is not None]
    text = template.record_limits.max_string_bytes
    return min([*sizes, *([text] if text else [])], default=None)


def _present(template: Template, found: ColumnMap | None) -> list[FieldSpec]:
    present = [known for known in template.fields if found is None or known.name in found.leaves]
    if template.consent:
        present = [known for known in present if known.name not in OWN]
    return [known for known in present if _looked_at(known, template)]


def _looked_at(known: FieldSpec, template: Template) -> bool:
    ruled = known.required or known.choices or known.pattern
    sized = known.max_length is not None or known.max_bytes is not None
    return bool(ruled) or sized or known.form in LOOKED_AT or known.name in template.identifiers


def _field_check(known: FieldSpec, found: ColumnMap | None, template: Template) -> FieldCheck:
    return FieldCheck(
        json_path=known.json_path,
        name=known.name,
        form=known.form,
        leaf=found.leaves.get(known.name) if found is not None else None,
        required=known.required,
        is_identifier=known.name in template.identifiers,
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
    yield from (
        (known.name, known.json_path) for known in template.fields if known.name not in (template.unique_id_field, HOW)
    )
    yield "properties", template.properties_path


def _unique_places(options: Options, template: Template, found: ColumnMap | None) -> tuple[tuple[str, ...], ...]:
    """Where the columns of `unique_id_columns` stand in the record."""
    if not options.unique_id_columns or found is None:
        return ()
    paths = {column: path for column, path in found.mapped if path != DROPPED}
    known = {known.name: known.json_path for known in template.fields}
    places = []
    for column in options.unique_id_columns:
        if column not in paths:
            names = ", ".join(paths)
            found.complaints.append(f"unique_id_columns: {column!r} is no column that is sent; these are: {names}")
            continue
        loose = (*template.properties_path, paths[column].partition(".")[2])
        places.append(known.get(paths[column], loose))
    return tuple(places)
