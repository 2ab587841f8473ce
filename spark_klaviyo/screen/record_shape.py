"""Whether a ready-made record (`record_column`) is one of the endpoint's: its type, and no unknown field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.json_paths import ONE_ITEM, Path, get
from spark_klaviyo.screen.values import Problem
from spark_klaviyo.templates.model import Template


def shape_problems(template: Template, record: dict[str, Json]) -> Iterator[tuple[Problem, Path]]:
    """What in the record does not belong there, each with its path."""
    expected = template.record.get("type")
    if expected is not None and record.get("type") != expected:
        yield Problem(RejectCode.BAD_RECORD, f'expected a record with "type": "{expected}"'), ("type",)
    if template.raw_rows:
        return
    known = _known_paths(template)
    for path in _unknown_paths(record, (), known):
        one_item = any(other[: len(path) + 1] == (*path, ONE_ITEM) for other in known)
        one_item = one_item and isinstance(get(record, path), list)
        name = "/".join(path)
        detail = f"{name} must hold exactly one item" if one_item else f"{template.name} has no field {name}"
        yield Problem(RejectCode.BAD_RECORD, detail), path


def _known_paths(template: Template) -> set[Path]:
    """The paths at which a record may hold a value."""
    paths = {field.json_path for field in template.fields} | _constant_paths(template.record, ())
    return paths | {template.properties_path} if template.properties_path else paths


def _constant_paths(constants: Mapping[str, object], path: Path) -> set[Path]:
    paths: set[Path] = set()
    for key, value in constants.items():
        here, held = (*path, key.removesuffix("?")), value
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
            here, held = (*here, ONE_ITEM), value[0]
        paths |= _constant_paths(held, here) if isinstance(held, Mapping) else {here}
    return paths


def _unknown_paths(value: Json, path: Path, known: set[Path]) -> Iterator[Path]:
    """Paths of the record that neither are known nor lead to one that is."""
    if path in known:
        return
    if not any(other[: len(path)] == path for other in known):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _unknown_paths(inner, (*path, key), known)
    elif isinstance(value, list) and len(value) == 1:
        yield from _unknown_paths(value[0], (*path, ONE_ITEM), known)
    elif isinstance(value, list):
        yield path
