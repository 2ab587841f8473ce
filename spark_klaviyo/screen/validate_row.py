"""The exact check of one row that failed a rule for columns: it is repaired, found valid or rejected.

The text of a record in; the text to send, or the reason against it, out. Every way to write uses this one check.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.core.json_paths import Path, get, put, remove
from spark_klaviyo.options.choices import OnBadPhone, Validate
from spark_klaviyo.plan.model import Checks, FieldCheck, WritePlan
from spark_klaviyo.screen import values
from spark_klaviyo.screen.record_checks import record_problems
from spark_klaviyo.screen.record_shape import shape_problems
from spark_klaviyo.screen.values import Problem
from spark_klaviyo.templates.model import FieldForm


@dataclass(frozen=True)
class ValidatedRow:
    """One row, decided. `pointer` says where in the record the problem is (RFC 6901)."""

    text: bytes | None  # to send; None: rejected
    problem: Problem | None = None
    pointer: str = ""


def validate_row(plan: WritePlan, text: bytes, params: Mapping[str, str]) -> ValidatedRow:
    """Decide one row; `params` are its request parameters.

    With `validate=warn` a row with a problem is sent all the same, repaired where that is possible; with `off` its
    problem is not reported either.
    """
    try:
        record = exact_json.loads(text)
        if not isinstance(record, dict):
            return ValidatedRow(None, Problem(RejectCode.BAD_RECORD, "not a JSON object"))
        return _validated(plan, text, record, params)
    except ValueError:
        return ValidatedRow(None, Problem(RejectCode.BAD_RECORD, "not JSON"))
    except RecursionError:
        return ValidatedRow(None, Problem(RejectCode.BAD_RECORD, "nested far deeper than Klaviyo takes"))


def _validated(plan: WritePlan, text: bytes, record: dict[str, Json], params: Mapping[str, str]) -> ValidatedRow:
    before = exact_json.dumps(record)
    # The whole list, not the first problem alone: finding the others repairs what can be repaired.
    problem, path = next(iter(list(_problems(plan, record, params))), (None, ()))
    pointer = "".join(f"/{part}" for part in path)
    if problem is not None and plan.checks.validate is Validate.STRICT:
        return ValidatedRow(None, problem, pointer)
    after = exact_json.dumps(record)
    sent = text if after == before else after
    return ValidatedRow(sent) if plan.checks.validate is Validate.OFF else ValidatedRow(sent, problem, pointer)


def _problems(plan: WritePlan, record: dict[str, Json], params: Mapping[str, str]) -> Iterator[tuple[Problem, Path]]:
    """Repair the record in place; the problems that cannot be repaired, each with its path."""
    checks = plan.checks
    if checks.ready_made:
        yield from shape_problems(plan.template, record)
    for field in checks.fields:
        problem = _field_problem(field, record, checks, params)
        if problem is not None:
            yield problem, field.json_path
    yield from record_problems(checks, record)
    if checks.unique_id_path and get(record, checks.unique_id_path) is None:
        put(record, checks.unique_id_path, _content_id(checks, record))
    for name in ("location", "properties"):  # a repair may have emptied them
        path = ("attributes", name)
        if get(record, path) == {} and path not in plan.template.keep_empty:
            remove(record, path)


# --- one field ------------------------------------------------------------------------------------


def _field_problem(
    field: FieldCheck, record: dict[str, Json], checks: Checks, params: Mapping[str, str]
) -> Problem | None:
    value = get(record, field.json_path)
    if isinstance(value, str) and not value.strip() and (field.is_identifier or field.required):
        remove(record, field.json_path)
        value = None
    if value is None:
        detail = f"{field.name} is required and empty"
        return Problem(RejectCode.MISSING_FIELD, detail) if field.required else None
    valid = _valid_value(field, value, checks, params)
    if not isinstance(valid, Problem):
        put(record, field.json_path, valid)
        return None
    others = (path for path in checks.identifiers if path != field.json_path)
    droppable = field.form is FieldForm.PHONE and checks.on_bad_phone is OnBadPhone.DROP
    if droppable and any(get(record, path) not in (None, "") for path in others):
        remove(record, field.json_path)
        return None
    return Problem(valid.code, f"{field.name}: {valid.detail}")


def _valid_value(field: FieldCheck, value: Json, checks: Checks, params: Mapping[str, str]) -> Json | Problem:
    """The value as it is sent, or why it cannot be."""
    if not isinstance(value, str) or exact_json.is_number(value):
        return _valid_other(field, value)
    if field.form is FieldForm.EMAIL:
        return values.email(value)
    if field.form is FieldForm.PHONE:
        country = params.get("default_country") or ("" if ":" in checks.default_country else checks.default_country)
        return values.phone(value, country)
    if field.form is FieldForm.DATETIME:
        return values.time(value, field.earliest, field.latest_days)
    return _valid_text(field, value)


def _valid_other(field: FieldCheck, value: Json) -> Json | Problem:
    if field.form in (FieldForm.EMAIL, FieldForm.PHONE):
        return Problem(RejectCode.BAD_VALUE, f"expected text, found {type(value).__name__}")
    items = value if isinstance(value, list) else [value]
    if field.choices and any(str(item) not in field.choices for item in items if not isinstance(item, dict)):
        some = "some" if isinstance(value, list) else "one"
        return Problem(RejectCode.BAD_VALUE, f"expected {some} of {', '.join(field.choices)}")
    if field.max_bytes is not None and (size := len(exact_json.dumps(value))) > field.max_bytes:
        return Problem(RejectCode.TOO_LARGE, f"{size:,} bytes; at most {field.max_bytes:,} are taken")
    return value


def _valid_text(field: FieldCheck, value: str) -> str | Problem:
    bare = value.removeprefix(field.prefix)
    if field.max_length is not None and len(bare) > field.max_length:
        return Problem(RejectCode.BAD_VALUE, f"{len(bare):,} characters; at most {field.max_length:,} are taken")
    if field.choices and bare not in field.choices:
        return Problem(RejectCode.BAD_VALUE, f"expected one of {', '.join(field.choices)}")
    if field.pattern and not re.fullmatch(field.pattern, bare):
        return Problem(RejectCode.BAD_VALUE, f"expected text of the form {field.pattern}")
    return value


def _content_id(checks: Checks, record: dict[str, Json]) -> str:
    """A `unique_id` made of the event's content, or of the chosen columns; never of a clock or a random number.

    Fields go by their paths, so that the same event has the same id in every layout and revision of a record.
    """
    chosen: Json = [get(record, path) for path in checks.unique_id_sources]
    if not checks.unique_id_sources:
        content = {name: get(record, path) for name, path in checks.unique_id_content}
        chosen = {name: value for name, value in content.items() if value not in (None, {}, [])}
    text = exact_json.dumps(exact_json.canonical(chosen), sort_keys=True)
    return hashlib.blake2b(text, digest_size=16).hexdigest()
