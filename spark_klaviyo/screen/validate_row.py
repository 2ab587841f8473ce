"""The exact check of one row that failed a rule for columns: it is repaired, found valid or rejected.

The text of a record in; the text to send, or the reason against it, out. Every way to write uses this one check.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import Json, Path, get, get_object, put, remove
from spark_klaviyo.options.choices import OnBadPhone, Validate
from spark_klaviyo.plan.checks import MARK
from spark_klaviyo.plan.consent_columns import denials, medium_of, unneeded_identifiers
from spark_klaviyo.plan.model import Checks, FieldCheck, WritePlan
from spark_klaviyo.plan.types import FRACTIONAL
from spark_klaviyo.screen import values
from spark_klaviyo.screen.unsent_parts import bare, leave_out, shape_problems, without_secrets
from spark_klaviyo.screen.values import Problem
from spark_klaviyo.templates.model import Consent, FieldForm, Template

Found = tuple[Problem, Path]


@dataclass(frozen=True)
class ValidatedRow:
    """One row, decided. `pointer` says where in the record the problem is (RFC 6901)."""

    text: bytes | None  # to send; None: rejected
    problem: Problem | None = None
    pointer: str = ""
    left_out: tuple[str, ...] = ()  # what was left out of it, as warnings that count


def validate_row(plan: WritePlan, text: bytes, params: Mapping[str, str]) -> ValidatedRow:
    """Decide one row; `params` are its request parameters.

    With `validate=warn` a row with a problem is sent all the same, repaired where that is possible; with `off` its
    problem is not reported either.
    """
    try:
        text = text if plan.record_column is None else bare(text)
        record = _parsed(plan, text)
        if isinstance(record, dict):
            return _validated(plan, text, record, params)
        detail = "not a JSON object"
    except exact_json.AmbiguousJsonError as error:
        detail = str(error)
    except ValueError:
        detail = "not JSON"
    except RecursionError:
        detail = "nested far deeper than Klaviyo takes"
    return ValidatedRow(None, Problem(RejectCode.BAD_RECORD, detail))


def repaired(plan: WritePlan, text: bytes, params: Mapping[str, str]) -> Json:
    """The record with its values as they would be sent, whatever else is wrong with it; None where it is no object."""
    try:
        record = _parsed(plan, text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    deque(_problems(plan, record, params, []), 0)
    return record


def _parsed(plan: WritePlan, text: bytes) -> Json:
    return exact_json.loads(text) if plan.record_column is None else exact_json.loads_foreign(bare(text))


def _validated(plan: WritePlan, text: bytes, record: dict[str, Json], params: Mapping[str, str]) -> ValidatedRow:
    before = exact_json.dumps(record)
    # The whole list, not the first problem alone: finding the others repairs what can be repaired.
    left_out = without_secrets(plan, record)
    found = list(_problems(plan, record, params, left_out))
    about_people = plan.template.takes_away or plan.template.consent is not None
    if about_people:
        found.sort(key=lambda one: not one[0].protects)
    problem, path = found[0] if found else (None, ())
    pointer = "".join(f"/{part}" for part in path)
    protects = problem is not None and problem.protects and about_people
    if problem is not None and (protects or plan.checks.validate is Validate.STRICT):
        return ValidatedRow(None, problem, pointer)
    after = exact_json.dumps(record)
    sent = text if after == before else after
    said = None if plan.checks.validate is Validate.OFF else problem
    return ValidatedRow(sent, said, pointer if said else "", tuple(left_out))


def _problems(
    plan: WritePlan, record: dict[str, Json], params: Mapping[str, str], left_out: list[str]
) -> Iterator[Found]:
    """Repair the record in place; the problems that cannot be repaired, each with its path."""
    checks = plan.checks
    if plan.record_column is not None:
        yield from shape_problems(plan.template, record)
        leave_out(plan.template, record)
    if plan.template.first_identifier_only:  # no profile is looked up by a second one
        present = [path for path in checks.identifiers if not _is_blank(get(record, path))]
        for path in present[1:]:
            remove(record, path)
    unneeded: list[Path] = []
    if plan.template.consent is not None:
        unneeded = unneeded_identifiers(plan.template, record)
        for path in unneeded if plan.template.unsubscribes else ():
            remove(record, path)
        yield from _opposites(plan, record, params)
    for field in checks.fields:
        problem = _field_problem(field, record, checks, params, left_out)
        if problem is not None and field.json_path in unneeded:
            remove(record, field.json_path)
        elif problem is not None:
            yield problem, field.json_path
    yield from _record_problems(plan, record)
    if checks.unique_id_path and get(record, checks.unique_id_path) is None:
        put(record, checks.unique_id_path, _content_id(checks, record))
    for name in ("location", "properties"):  # a repair may have emptied them
        path = ("attributes", name)
        if get(record, path) == {} and path not in plan.template.keep_empty:
            remove(record, path)


# --- one field ------------------------------------------------------------------------------------


def _field_problem(
    field: FieldCheck, record: dict[str, Json], checks: Checks, params: Mapping[str, str], left_out: list[str]
) -> Problem | None:
    value = get(record, field.json_path)
    if isinstance(value, str) and not value.strip():
        if field.may_be_blank:
            return None
        if field.form is not FieldForm.DATETIME or field.required:
            remove(record, field.json_path)
            value = None
    if value is None:
        detail = f"{field.name} is required and empty"
        if field.required and field.required_unless:
            return Problem(RejectCode.BAD_TIME, f"{detail}; with {field.required_unless} it is the moment of arrival")
        return Problem(RejectCode.MISSING_FIELD, detail) if field.required else None
    valid = _valid_value(field, value, checks, params)
    if not isinstance(valid, Problem):
        put(record, field.json_path, valid)
        return None
    others = (path for path in checks.identifiers if path != field.json_path)
    is_drop = field.form is FieldForm.PHONE and checks.on_bad_phone is OnBadPhone.DROP
    droppable = is_drop and any(get(record, path) not in (None, "") for path in others)
    if droppable or (field.is_likely and field.form in (FieldForm.PHONE, FieldForm.DATETIME)):
        remove(record, field.json_path)
        left_out.append(f"{field.name} is left out where it cannot be read ({valid.code})")
        return None
    return replace(valid, detail=f"{field.name}: {valid.detail}", protects=valid.protects or field.is_identifier)


def _valid_value(field: FieldCheck, value: Json, checks: Checks, params: Mapping[str, str]) -> Json | Problem:
    """The value as it is sent, or why it cannot be."""
    if not isinstance(value, str) or exact_json.is_number(value):
        if field.form in (FieldForm.EMAIL, FieldForm.PHONE):
            return Problem(RejectCode.BAD_VALUE, f"expected text, found {type(value).__name__}")
        if field.max_bytes is not None and (size := len(exact_json.dumps(value))) > field.max_bytes:
            return Problem(RejectCode.TOO_LARGE, f"{size:,} bytes; at most {field.max_bytes:,} are taken")
        return _among_choices(field, value) or value
    if field.is_identifier and values.REPLACEMENT in value:
        return Problem(RejectCode.BAD_VALUE, f"it holds {values.REPLACEMENT_MEANING}")
    if field.form is FieldForm.EMAIL:
        return values.email(value)
    if field.form is FieldForm.PHONE:
        country = params.get("default_country") or ("" if ":" in checks.default_country else checks.default_country)
        return values.phone(value, country)
    if field.form is FieldForm.DATETIME:
        return values.time(value, field.earliest, field.latest_days, checks.time_zone)
    if field.form is FieldForm.CURRENCY:
        value = value.strip().upper()
    bare = value.removeprefix(field.prefix)
    has_fraction = field.leaf is not None and field.leaf.type.name in FRACTIONAL
    if has_fraction and not re.fullmatch("-?[0-9]+", bare):
        return Problem(RejectCode.BAD_VALUE, "not a whole number below 2^53; cast the column to string")
    if field.max_length is not None and len(bare) > field.max_length:
        return Problem(RejectCode.BAD_VALUE, f"{len(bare):,} characters; at most {field.max_length:,} are taken")
    if field.pattern and not re.fullmatch(field.pattern, bare):
        return Problem(RejectCode.BAD_VALUE, field.pattern_text or f"expected text of the form {field.pattern}")
    return _among_choices(field, bare) or value


def _among_choices(field: FieldCheck, value: Json) -> Problem | None:
    items = value if isinstance(value, list) else [value]
    if not field.choices or all(isinstance(item, dict) or str(item) in field.choices for item in items):
        return None
    some = "some" if isinstance(value, list) else "one"
    return Problem(RejectCode.BAD_VALUE, f"expected {some} of {', '.join(field.choices)}")


def _content_id(checks: Checks, record: dict[str, Json]) -> str:
    """A `unique_id` made of the event's content, or of the chosen columns; never of a clock or a random number.

    Fields go by their paths, so that the same event has the same id in every layout and revision of a record.
    """
    values = [get(record, path) for path in checks.unique_id_sources]
    chosen: Json = values
    if all(map(_is_blank, values)):  # without the chosen columns an event is told from others by all that it holds
        content = {name: get(record, path) for name, path in checks.unique_id_content}
        chosen = {name: value for name, value in content.items() if value not in (None, {}, [])}
    text = exact_json.dumps(exact_json.canonical(chosen), sort_keys=True)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


# --- the record as a whole ------------------------------------------------------------------------


def _record_problems(plan: WritePlan, record: dict[str, Json]) -> Iterator[Found]:
    """What is wrong with the record as a whole, each with its path."""
    checks = plan.checks
    if plan.template.consent is not None:
        yield from _channels(checks, plan.template.consent, record)
    for need in checks.requires:
        if get(record, need.if_present) is not None and get(record, need.json_path) in (None, ""):
            protects = need.json_path in checks.identifiers
            yield Problem(RejectCode.MISSING_FIELD, need.reason, protects), need.json_path
    if checks.identifiers and all(get(record, path) is None for path in checks.identifiers):
        names = ", ".join(path[-1] for path in checks.identifiers)
        yield Problem(RejectCode.NO_IDENTIFIER, f"the row has none of {names}"), ()
    yield from _limits(plan.template, record)


def _channels(checks: Checks, consent: Consent, record: dict[str, Json]) -> Iterator[Found]:
    """Check the channels of a record, and the words of a column of channels, which are taken out of it.

    Who has opted out of a channel that is not known could not be read.
    """
    held, expected = get_object(record, checks.channels_path), ", ".join(checks.channels)
    given = held.pop(MARK, None)
    texts = given if isinstance(given, list) else [given]
    words = re.split(r"[,\s]+", ",".join(str(text) for text in texts if text is not None).lower())
    known = {channel.json_path[-2:] for channel in consent.channels}
    media = {name: uses for name, uses in held.items() if isinstance(uses, dict)}
    found = {(medium, use) for medium, uses in media.items() for use in uses if isinstance(uses[use], dict)}
    if found - known or any(word and word not in checks.channels for word in words):
        problem = Problem(RejectCode.BAD_VALUE, f"channels: expected some of {expected}", protects=True)
        yield problem, checks.channels_path
    elif not found:
        problem = Problem(RejectCode.MISSING_FIELD, f"channels: the row names none of {expected}", protects=True)
        yield problem, checks.channels_path


def _opposites(plan: WritePlan, record: dict[str, Json], params: Mapping[str, str]) -> Iterator[Found]:
    """Columns that say that the person has left, or does not consent to a channel of the row."""
    path = plan.checks.channels_path
    media = set(map(medium_of, get_object(record, path)))
    for column in denials(plan, params):
        if not column.medium or column.medium in media:
            says = "says that the person has left" if column.means_left else "does not say yes"
            yield Problem(RejectCode.NO_CONSENT, f"column {column.name!r} {says}", True), path


def _is_blank(value: Json) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _limits(template: Template, record: dict[str, Json]) -> Iterator[Found]:
    limits, path, most = template.record_limits, template.properties_path, template.limits.max_row_bytes
    properties = get_object(record, path) if path else {}
    if limits.max_properties is not None and len(properties) > limits.max_properties:
        detail = f"{len(properties):,} properties; at most {limits.max_properties:,} are taken"
        yield Problem(RejectCode.TOO_MANY_PROPERTIES, detail), path
    if limits.max_depth is not None and _depth(properties) > limits.max_depth:
        yield Problem(RejectCode.TOO_DEEP, f"nested deeper than {limits.max_depth} levels"), path
    if limits.max_items is not None and _most_items(record) > limits.max_items:
        yield Problem(RejectCode.TOO_MANY_ITEMS, f"an array has more than {limits.max_items:,} items"), ()
    if limits.max_string_bytes is not None and _longest_text(record) > limits.max_string_bytes:
        yield Problem(RejectCode.TOO_LARGE, f"a text has more than {limits.max_string_bytes:,} bytes"), ()
    size = len(exact_json.dumps(record)) if most is not None else 0
    if most is not None and size > most:
        yield Problem(RejectCode.TOO_LARGE, f"{size:,} bytes; at most {most:,} are taken"), ()


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
