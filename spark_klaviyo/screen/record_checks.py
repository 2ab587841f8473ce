"""What must hold of a record as a whole: identifiers, channels, fields that need each other, published limits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.json_paths import Path, get
from spark_klaviyo.plan.channels import MARK
from spark_klaviyo.plan.model import Checks
from spark_klaviyo.screen.values import Problem

Found = tuple[Problem, Path]


def record_problems(checks: Checks, record: dict[str, Json]) -> Iterator[Found]:
    """What is wrong with the record as a whole, each with its path."""
    if checks.channels:
        yield from _channels(checks, record)
    for need in checks.requires:
        if get(record, need.if_present) is not None and get(record, need.json_path) in (None, ""):
            yield Problem(RejectCode.MISSING_FIELD, need.reason), need.json_path
    yield from _identifiers(checks, record)
    yield from _limits(checks, record)


def _channels(checks: Checks, record: dict[str, Json]) -> Iterator[Found]:
    """Check the words of a column of channels, and take them out of the record."""
    held, expected = get(record, checks.channels_path), ", ".join(checks.channels)
    given = held.pop(MARK, None) if isinstance(held, dict) else None
    texts = given if isinstance(given, list) else [given]
    words = re.split(r"[,\s]+", ",".join(str(text) for text in texts if text is not None).lower())
    if any(word and word not in checks.channels for word in words):
        yield Problem(RejectCode.BAD_VALUE, f"channels: expected some of {expected}"), checks.channels_path
    elif not held:
        yield Problem(RejectCode.MISSING_FIELD, f"channels: the row names none of {expected}"), checks.channels_path


def _identifiers(checks: Checks, record: dict[str, Json]) -> Iterator[Found]:
    present = [path[-1] for path in checks.identifiers if get(record, path) is not None]
    if checks.identifiers and not present:
        names = ", ".join(path[-1] for path in checks.identifiers)
        yield Problem(RejectCode.NO_IDENTIFIER, f"the row has none of {names}"), ()
    if checks.exactly_one_identifier and len(present) > 1:
        detail = f"exactly one identifier is taken, found {' and '.join(present)}"
        yield Problem(RejectCode.BAD_RECORD, detail), ()


def _limits(checks: Checks, record: dict[str, Json]) -> Iterator[Found]:
    limits, path = checks.record_limits, checks.properties_path
    properties = get(record, path) if path else None
    if isinstance(properties, dict) and limits.max_properties is not None and len(properties) > limits.max_properties:
        detail = f"{len(properties):,} properties; at most {limits.max_properties:,} are taken"
        yield Problem(RejectCode.TOO_MANY_PROPERTIES, detail), path
    if isinstance(properties, dict) and limits.max_depth is not None and _depth(properties) > limits.max_depth:
        yield Problem(RejectCode.TOO_DEEP, f"nested deeper than {limits.max_depth} levels"), path
    if limits.max_items is not None and _most_items(record) > limits.max_items:
        yield Problem(RejectCode.TOO_MANY_ITEMS, f"an array has more than {limits.max_items:,} items"), ()
    if limits.max_string_bytes is not None and _longest_text(record) > limits.max_string_bytes:
        yield Problem(RejectCode.TOO_LARGE, f"a text has more than {limits.max_string_bytes:,} bytes"), ()
    size = len(exact_json.dumps(record)) if checks.max_row_bytes is not None else 0
    if checks.max_row_bytes is not None and size > checks.max_row_bytes:
        yield Problem(RejectCode.TOO_LARGE, f"{size:,} bytes; at most {checks.max_row_bytes:,} are taken"), ()


def _children(value: Json) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _depth(value: Json) -> int:
    return 1 + max(map(_depth, _children(value)), default=0) if isinstance(value, dict | list) else 0


def _most_items(value: Json) -> int:
    own = len(value) if isinstance(value, list) else 0
    return max([own, *map(_most_items, _children(value))])


def _longest_text(value: Json) -> int:
    """Bytes of the longest text."""
    own = len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0
    return max([own, *map(_longest_text, _children(value))])
