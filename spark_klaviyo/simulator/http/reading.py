"""From the bytes of a body to a document the endpoint may trust: media type, size, JSON, counts, schema."""

from __future__ import annotations

import gzip
import json
import marshal
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from spark_klaviyo.simulator.errors import JsonObject, Refused, bad_request, invalid, too_large, wrong_media_type
from spark_klaviyo.simulator.http.operation import Operation
from spark_klaviyo.simulator.http.wire import JSON_API, Request, encode
from spark_klaviyo.simulator.rules.schema import Problem
from spark_klaviyo.simulator.switches import Switches

MEDIA_TYPES = (JSON_API, "application/json")  # spec and SDK; application/json is accepted in production too
ESCAPES = 6  # a marshalled string may be up to six times shorter than its JSON: \u00e9


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def read_body(request: Request, operation: Operation, revision: str, switches: Switches) -> JsonObject:
    """The checked body; any offence refuses the whole request."""
    shape = operation.shape(revision)
    if shape is None:
        return {}
    raw = _unpacked(request, switches)
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise wrong_media_type(media_type)
    if operation.max_bytes is not None and len(raw) > operation.max_bytes:
        raise too_large(switches.oversize_status, operation.max_bytes)
    try:
        body = _DECODER.decode(raw.decode("utf-8"))
    except ValueError as error:
        raise bad_request("/data", "Invalid JSON in the request body.") from error  # wording unsettled
    if not isinstance(body, dict):
        raise bad_request("/data", "The request body must be an object.")  # wording unsettled
    _check_rows(body, operation, switches)
    refuse(shape.problems(body, "data"), switches)
    return body


def _unpacked(request: Request, switches: Switches) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "gzip":
        return request.body
    if not switches.accept_gzip:  # unsettled: the spec says nothing about gzip bodies
        raise wrong_media_type("gzip")
    try:
        return gzip.decompress(request.body)  # docs: 5 MB are counted decompressed
    except (OSError, EOFError, zlib.error) as error:
        raise bad_request("/data", "Invalid gzip data in the request body.") from error


def refuse(problems: Iterable[Problem], switches: Switches) -> None:
    """400 for the problems: one a row, or only the first of all (unsettled: switch)."""
    by_row: dict[tuple[int, ...], Problem] = {}
    for problem in problems:
        by_row.setdefault(problem.rows, problem)
    named = list(by_row.values())
    if named:
        shown = named if switches.name_every_bad_row else named[:1]
        raise Refused(400, [invalid(problem.pointer, problem.detail) for problem in shown])


def _check_rows(body: JsonObject, operation: Operation, switches: Switches) -> None:
    rows = dig(body, operation.rows) if operation.rows else None
    if not isinstance(rows, list):
        return
    pointer = "/" + "/".join(operation.rows)
    count = operation.count(rows) if operation.count else len(rows)
    if operation.max_rows is not None and count > operation.max_rows:
        # wording unsettled
        raise bad_request(pointer, f"Too many entries: {count} given, at most {operation.max_rows} are allowed.")
    if operation.max_row_bytes is not None:
        refuse(_oversize(rows, operation.rows, operation.max_row_bytes), switches)


def _oversize(rows: Sequence[Any], path: tuple[str, ...], most: int) -> Iterable[Problem]:
    small = most // ESCAPES
    for index, row in enumerate(rows):
        # the quick measure first: marshal is several times faster than JSON
        if len(marshal.dumps(row, 2)) > small and len(encode(row)) > most:
            yield Problem((*path, index), f"The entry is larger than {most} bytes.")  # wording unsettled


def dig(body: Any, path: Sequence[str]) -> Any:
    """The value at a path of keys, or None."""
    for key in path:
        if not isinstance(body, dict):
            return None
        body = body.get(key)
    return body
