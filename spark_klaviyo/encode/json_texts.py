"""JSON text as part of a record: objects whose entries join the custom properties, and values of VARIANT.

Spark makes a value of VARIANT text behind a mark that no other text has. It is written as text like any other, at any
depth, and the finished rows then hold the JSON in its place.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from spark_klaviyo.arrow.arrays import Mask
from spark_klaviyo.core import exact_json
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.screen.secrets import without_secret_names


@dataclass(frozen=True)
class JsonObjects:
    """The objects of a column of JSON text, None where there is none; rows that hold something else; and rows of whose
    object something was taken that has the name of a secret."""

    values: list[dict[str, Json] | None]
    wrong: Mask
    secrets: Mask


def json_objects(texts: pa.Array, mark: str, *, keep_null: bool) -> JsonObjects:
    """Read a column of JSON text; nulls inside objects are left out unless `keep_null`."""
    found = JsonObjects([None] * len(texts), np.zeros(len(texts), np.bool_), np.zeros(len(texts), np.bool_))
    for row, text in enumerate(texts.cast(pa.string()).to_pylist()):
        if text is None or not text.strip():
            continue
        try:
            value = exact_json.loads(text.removeprefix(mark) if mark else text)
            if isinstance(value, dict):
                found.secrets[row] = without_secret_names(value) > 0
                filled = {k: _filled(v) for k, v in value.items() if v is not None}
                found.values[row] = value if keep_null else filled
            else:
                found.wrong[row] = value is not None
        except (ValueError, RecursionError):
            found.wrong[row] = True
    return found


def _filled(value: Json) -> Json:
    """A value without the fields of its objects that are null."""
    if isinstance(value, list):
        return [_filled(item) for item in value]
    return {k: _filled(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def with_json(lines: bytes, mark: str) -> bytes:
    """The rows with each text behind the mark as the JSON that it is."""
    marked = re.compile(b'"' + mark.encode() + rb'((?:[^"\\]|\\.)*)"')
    return marked.sub(lambda found: json.loads(b'"' + found[1] + b'"').encode(), lines)


def json_text(value: Json) -> str:
    """A value as JSON that is valid UTF-8."""
    return exact_json.dumps(value).decode("utf-8", "replace")
