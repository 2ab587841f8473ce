"""What users must know of the columns that names alone have placed, or could not place: a note for each.

A note ends in the exact entry of the option `fields` that decides otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from spark_klaviyo.plan.names import ColumnNote, Known, Sure, bare, field_names
from spark_klaviyo.templates.model import Template

# What does what a column without effect seems to do.
_DOES = {
    "consent": "importing people subscribes nobody; consent is recorded by a write of its own, "
    "with the template bulk_subscribe_profiles, for people who have given it",
    "anonymous_id": "Klaviyo takes no anonymous_id in profiles; events take it, as profile.anonymous_id",
    "_metadata": "it is Spark's description of the source file and tells Klaviyo nothing; drop it",
}


def entry_of(field: str, column: str) -> str:
    """The option `fields` with one entry, as users write it."""
    return f"fields={json.dumps({field: column}, ensure_ascii=False, separators=(',', ':'))}"


def notes_of(
    known: Mapping[str, Known], mapped: Mapping[str, str], secrets: Iterable[str], loose: str
) -> Iterator[ColumnNote]:
    """A note for each column that a name says something of, and for each secret inside a column.

    Args:
        known: What names say, by column.
        mapped: What became of the columns.
        secrets: Columns, and parts of struct columns, that are not sent.
        loose: What other columns become, `properties`; empty where they have no place.
    """
    giver = {field: column for column, field in mapped.items()}
    for column, found in known.items():
        becomes = mapped.get(column)
        if becomes is None:  # refused
            continue
        kept = entry_of(f"{loose}.{column}", column) if loose else ""
        if found.sure is Sure.IDLE:
            yield ColumnNote(column, found.sure, "", f"column {column!r} has no effect: {_DOES[found.topic]}")
        elif found.fields and becomes == found.fields[0]:
            yield ColumnNote(
                column, found.sure, kept, _likely(column, becomes, kept) if found.sure is Sure.LIKELY else ""
            )
        elif found.fields:
            yield _not_placed(column, found, becomes, giver)
    for column in secrets:
        entry = entry_of(f"{loose}.{column.rpartition('.')[2]}", column) if loose else ""
        only = f"; only {entry} sends it" if entry else ""
        yield ColumnNote(
            column, Sure.SECRET, entry, f"column {column!r} has the name of a secret and is not sent{only}"
        )


def _likely(column: str, field: str, kept: str) -> str:
    otherwise = f"{kept} keeps it a custom property" if kept else "rename or drop it if it is something else"
    return f"column {column!r} is likely {field} and is sent as that; {otherwise}"


def _not_placed(column: str, found: Known, becomes: str, giver: Mapping[str, str]) -> ColumnNote:
    """A column that may mean a field, and is not sent as one."""
    entries = [entry_of(field, column) for field in found.fields]
    sent = "is dropped" if becomes == "dropped" else "is sent as a custom property"
    other = giver.get(found.fields[0])
    if found.sure is Sure.ASK:
        why = f"may mean {' or '.join(found.fields)}, among other things, and {sent}"
    elif other is None and "." in column:
        why = f"stands inside another column, so it is not taken as {found.fields[0]}, and {sent}"
    elif other is not None:
        why = f"means {found.fields[0]}, which column {other!r} gives, and {sent}"
    else:
        why = f"means {found.fields[0]}, which is given otherwise or takes another type, and {sent}"
    return ColumnNote(
        column,
        found.sure,
        entries[0],
        f"column {column!r} {why}; {' or '.join(entries)} places it there",
    )


def near_misses(unmapped: Iterable[str], template: Template, fixed_fields: Collection[str]) -> dict[str, str]:
    """Columns that became custom properties though they resemble a field: `e_mail2` -> `email`.

    No column can have meant a field that a setting gives for all rows.
    """
    fields = {bare(name): k.name for k in template.fields if k.name not in fixed_fields for name in field_names(k)}
    near = {name: get_close_matches(bare(name), fields, 1, 0.8) for name in unmapped}
    return {name: fields[match[0]] for name, match in near.items() if match}
