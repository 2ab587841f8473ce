"""The exact check of one row: what the columnar check found suspicious is decided, repaired or rejected here.

Text of a record in, text of the record to send or the reason against it out. Every door uses this one, so that a row
is judged the same whichever way it came.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.options.choices import OnBadPhone, Validate
from spark_klaviyo.plan.channels import MARK
from spark_klaviyo.plan.model import Checks, FieldCheck, WritePlan
from spark_klaviyo.plan.shape import ONE_ITEM
from spark_klaviyo.screen import values
from spark_klaviyo.screen.values import Problem
from spark_klaviyo.templates.model import FieldForm, Template

Object = dict[str, Json]


@dataclass(frozen=True)
class ValidatedRow:
    """`text` to send (None: rejected), with the problem found, and where in the record it stands."""

    text: bytes | None
    problem: Problem | None = None
    pointer: str = ""


def validate_row(plan: WritePlan, text: bytes, aside: Mapping[str, str]) -> ValidatedRow:
    """Decide one row. In the mode `warn` a problem is told and the row sent all the same; `off` does not tell."""
    try:
        return _examined(plan, text, aside)
    except ValueError:
        return ValidatedRow(None, Problem("bad_record", "this is no JSON"))
    except RecursionError:
        return ValidatedRow(None, Problem("bad_record", "nested far deeper than Klaviyo takes"))


def _examined(plan: WritePlan, text: bytes, aside: Mapping[str, str]) -> ValidatedRow:
    record = exact_json.loads(text)
    if not isinstance(record, dict):
        return ValidatedRow(None, Problem("bad_record", "this is no JSON object"))
    before = exact_json.dumps(record)
    # all of them, so that a row that is sent all the same is repaired as a whole
    problem, pointer = next(iter(list(_problems(plan, record, aside))), (None, ""))
    if problem is not None and plan.checks.validate is Validate.STRICT:
        return ValidatedRow(None, problem, pointer)
    if plan.checks.validate is Validate.OFF:
        problem, pointer = None, ""
    after = exact_json.dumps(record)
    return ValidatedRow(text if after == before else after, problem, pointer)


def _problems(plan: WritePlan, record: Object, aside: Mapping[str, str]) -> Iterator[tuple[Problem, str]]:
    """Repair the record in place and tell what cannot be repaired."""
    checks = plan.checks
    if checks.ready_made:
        yield from _shape(plan, record)
    for wanted in checks.fields:
        problem = _value(wanted, record, checks, aside)
        if problem is not None:
            yield problem, "/" + "/".join(wanted.json_path)
    if checks.channels:
        yield from _channels(checks, record)
    yield from _needed(checks, record)
    yield from _identified(checks, record)
    yield from _within_limits(checks, record)
    if checks.unique_id_path and get(record, checks.unique_id_path) is None:
        put(record, checks.unique_id_path, _digest(checks, record))
    prune(record, plan.template.keep_empty)


# --- one value ------------------------------------------------------------------------------------


def _value(wanted: FieldCheck, record: Object, checks: Checks, aside: Mapping[str, str]) -> Problem | None:
    value = get(record, wanted.json_path)
    if isinstance(value, str) and not value.strip() and (wanted.is_identifier or wanted.required):
        remove(record, wanted.json_path)
        value = None
    if value is None:
        return Problem("missing_field", f"{wanted.name} is required and empty") if wanted.required else None
    judged = _judge(wanted, value, checks, aside)
    if not isinstance(judged, Problem):
        put(record, wanted.json_path, judged)
        return None
    if (
        wanted.form is FieldForm.PHONE
        and checks.on_bad_phone is OnBadPhone.DROP
        and _other_identifier(checks, record, wanted)
    ):
        remove(record, wanted.json_path)
        return None
    return Problem(judged.code, f"{wanted.name}: {judged.detail}")


def _judge(wanted: FieldCheck, value: Json, checks: Checks, aside: Mapping[str, str]) -> Json | Problem:
    if not isinstance(value, str) or exact_json.is_number(value):
        return _not_text(wanted, value)
    if wanted.form is FieldForm.EMAIL:
        return values.email(value)
    if wanted.form is FieldForm.PHONE:
        country = aside.get("default_country") or ("" if ":" in checks.default_country else checks.default_country)
        return values.phone(value, country)
    if wanted.form is FieldForm.DATETIME:
        return values.moment(value, wanted.earliest, wanted.latest_days)
    return _text(wanted, value)


def _not_text(wanted: FieldCheck, value: Json) -> Json | Problem:
    if wanted.form in (FieldForm.EMAIL, FieldForm.PHONE):
        return Problem("bad_value", f"expected text, not {type(value).__name__}")
    values = value if isinstance(value, list) else [value]
    if wanted.choices and any(str(each) not in wanted.choices for each in values if not isinstance(each, dict)):
        return Problem(
            "bad_value", f"expected {'some' if isinstance(value, list) else 'one'} of {', '.join(wanted.choices)}"
        )
    if wanted.max_bytes is not None and (size := len(exact_json.dumps(value))) > wanted.max_bytes:
        return Problem("too_large", f"{size:,} bytes; at most {wanted.max_bytes:,} are taken")
    return value


def _text(wanted: FieldCheck, value: str) -> str | Problem:
    bare = value.removeprefix(wanted.prefix)
    if wanted.max_length is not None and len(bare) > wanted.max_length:
        return Problem("bad_value", f"{len(bare):,} characters; at most {wanted.max_length:,} are taken")
    if wanted.choices and bare not in wanted.choices:
        return Problem("bad_value", f"expected one of {', '.join(wanted.choices)}")
    if wanted.pattern and not re.fullmatch(wanted.pattern, bare):
        return Problem("bad_value", f"expected text of the form {wanted.pattern}")
    return value


# --- the whole record -----------------------------------------------------------------------------


def _identified(checks: Checks, record: Object) -> Iterator[tuple[Problem, str]]:
    present = [at for at in checks.identifiers if get(record, at) is not None]
    if checks.identifiers and not present:
        names = ", ".join(at[-1] for at in checks.identifiers)
        yield Problem("no_identifier", f"the row has none of {names}"), ""
    if checks.exactly_one_identifier and len(present) > 1:
        names = " and ".join(at[-1] for at in present)
        yield Problem("bad_record", f"exactly one identifier is taken, found {names}"), ""


def _channels(checks: Checks, record: Object) -> Iterator[tuple[Problem, str]]:
    """The words of a column are read and taken out."""
    held, pointer = get(record, checks.channels_path), "/" + "/".join(checks.channels_path)
    given = held.pop(MARK, None) if isinstance(held, dict) else None
    texts = given if isinstance(given, list) else [given]
    words = re.split(r"[,\s]+", ",".join(str(text) for text in texts if text is not None).lower())
    if any(word and word not in checks.channels for word in words):
        yield Problem("bad_value", f"channels: expected some of {', '.join(checks.channels)}"), pointer
    elif not held:
        yield Problem("missing_field", f"channels: the row names none of {', '.join(checks.channels)}"), pointer


def _needed(checks: Checks, record: Object) -> Iterator[tuple[Problem, str]]:
    """What is there without something that it needs: a channel without its identifier, half of a pair."""
    for need in checks.requires:
        if get(record, need.if_present) is not None and get(record, need.json_path) in (None, ""):
            yield Problem("missing_field", need.reason), "/" + "/".join(need.json_path)


def _other_identifier(checks: Checks, record: Object, wanted: FieldCheck) -> bool:
    return any(get(record, at) not in (None, "") for at in checks.identifiers if at != wanted.json_path)


def _within_limits(checks: Checks, record: Object) -> Iterator[tuple[Problem, str]]:
    properties = get(record, checks.properties_path) if checks.properties_path else None
    if (
        checks.record_limits.max_properties is not None
        and isinstance(properties, dict)
        and len(properties) > checks.record_limits.max_properties
    ):
        detail = f"{len(properties):,} properties; at most {checks.record_limits.max_properties:,} are taken"
        yield Problem("too_many_properties", detail), "/" + "/".join(checks.properties_path)
    if (
        checks.record_limits.max_depth is not None
        and isinstance(properties, dict)
        and _depth(properties) > checks.record_limits.max_depth
    ):
        yield (
            Problem("too_deep", f"nested deeper than {checks.record_limits.max_depth} levels"),
            "/" + "/".join(checks.properties_path),
        )
    if checks.record_limits.max_items is not None and _longest(record) > checks.record_limits.max_items:
        yield Problem("too_many_items", f"an array has more than {checks.record_limits.max_items:,} items"), ""
    if checks.record_limits.max_string_bytes is not None and _largest(record) > checks.record_limits.max_string_bytes:
        yield Problem("too_large", f"a text has more than {checks.record_limits.max_string_bytes:,} bytes"), ""
    size = len(exact_json.dumps(record)) if checks.max_row_bytes is not None else 0
    if checks.max_row_bytes is not None and size > checks.max_row_bytes:
        yield Problem("too_large", f"{size:,} bytes; at most {checks.max_row_bytes:,} are taken"), ""


def _children(value: Json) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _depth(value: Json) -> int:
    return 1 + max(map(_depth, _children(value)), default=0) if isinstance(value, dict | list) else 0


def _longest(value: Json) -> int:
    own = len(value) if isinstance(value, list) else 0
    return max([own, *map(_longest, _children(value))])


def _largest(value: Json) -> int:
    """Bytes of the longest text."""
    own = len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0
    return max([own, *map(_largest, _children(value))])


def _shape(plan: WritePlan, record: Object) -> Iterator[tuple[Problem, str]]:
    """A record that comes ready made must be one of this endpoint: its type, and no unknown field."""
    expected = plan.template.record.get("type")
    if expected is not None and record.get("type") != expected:
        yield Problem("bad_record", f'expected a record with "type": "{expected}"'), "/type"
    if plan.template.raw_rows:
        return
    for at in _unknown(plan, record):
        several = isinstance(get(record, at), list) and (*at, ONE_ITEM) in _ways(plan.template)
        said = (
            f"{'/'.join(at)} must hold exactly one" if several else f"{plan.template.name} has no field {'/'.join(at)}"
        )
        yield Problem("bad_record", said), "/" + "/".join(at)


def _unknown(plan: WritePlan, record: Object) -> Iterator[tuple[str, ...]]:
    yield from _ends(record, (), _places(plan.template))


def _places(template: Template) -> set[tuple[str, ...]]:
    """Every place of a record that may hold a value."""
    places = [known.json_path for known in template.fields] + (
        [template.properties_path] if template.properties_path else []
    )
    return set(places) | _constant_places(template.record, ())


def _ways(template: Template) -> set[tuple[str, ...]]:
    """Every place on the way to one that may hold a value."""
    return {place[:length] for place in _places(template) for length in range(1, len(place))}


def _constant_places(constants: Mapping[str, object], at: tuple[str, ...]) -> set[tuple[str, ...]]:
    places: set[tuple[str, ...]] = set()
    for key, value in constants.items():
        here = (*at, key.removesuffix("?"))
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
            value, here = value[0], (*here, ONE_ITEM)  # noqa: PLW2901
        places |= _constant_places(value, here) if isinstance(value, Mapping) else {here}
    return places


def _ends(value: Json, at: tuple[str, ...], known: set[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Places of the record that no known place leads to or covers."""
    if at in known:
        return
    leads = any(place[: len(at)] == at for place in known)
    if not leads:
        yield at
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _ends(inner, (*at, key), known)
    elif isinstance(value, list) and len(value) == 1:
        yield from _ends(value[0], (*at, ONE_ITEM), known)
    elif isinstance(value, list):
        yield at


def _digest(checks: Checks, record: Object) -> str:
    """A stable id from what the event is (or the chosen columns): never from a clock or a random number.

    Fields go by their paths, so that the same event has the same id in every layout and revision of a record.
    """
    chosen: Json = [get(record, at) for at in checks.unique_id_sources]
    if not checks.unique_id_sources:
        told = {path: get(record, at) for path, at in checks.unique_id_content}
        chosen = {path: value for path, value in told.items() if value not in (None, {}, [])}
    text = exact_json.dumps(exact_json.canonical(chosen), sort_keys=True)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


# --- places ---------------------------------------------------------------------------------------


def get(record: Json, at: tuple[str, ...]) -> Json:
    """The value at a place of a record; None where nothing is there."""
    value = record
    for part in at:
        if isinstance(value, list) and part == ONE_ITEM:
            value = value[0] if value else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def put(record: Object, at: tuple[str, ...], value: Json) -> None:
    """Set the value at a place, making the objects on the way."""
    inner: Json = record
    for part, after in itertools.pairwise(at):
        if isinstance(inner, list):
            inner = inner[0] if inner else None
        elif isinstance(inner, dict):
            inner = inner.setdefault(part, [{}] if after == ONE_ITEM else {})
    if isinstance(inner, dict):
        inner[at[-1]] = value


def remove(record: Object, at: tuple[str, ...]) -> None:
    """Take the value at a place out of the record."""
    holder = get(record, at[:-1])
    if isinstance(holder, dict):
        holder.pop(at[-1], None)


def prune(record: Object, keep: tuple[tuple[str, ...], ...]) -> None:
    """Leave out `location` and the like when a repair emptied them."""
    attributes = record.get("attributes")
    if isinstance(attributes, dict):
        for name in ("location", "properties"):
            if attributes.get(name) == {} and ("attributes", name) not in keep:
                del attributes[name]
