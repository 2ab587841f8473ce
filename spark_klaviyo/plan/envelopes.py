"""Where a batch goes and what stands around its rows: path, query and body of the plan's template, filled in.

Settings of the plan and values of the rows fill them; the key and the time of sending stay placeholders until a request
is made. Where rows do not simply follow each other in a body, an arrangement composes its inside, the same way each
time; a batch is cut by the sizes of its single rows, which no arrangement exceeds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, quote_plus

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.exact_json import Json, get, get_object, put
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Arrangement, Envelope
from spark_klaviyo.plan.manual import body
from spark_klaviyo.plan.manual.formats import FORMATS
from spark_klaviyo.plan.model import RESUBSCRIBE, WritePlan
from spark_klaviyo.plan.settings import value_of, with_prefix
from spark_klaviyo.plan.shape import filled
from spark_klaviyo.templates.model import BodyLayout, Template, pointer_to

# --- arrangements ---------------------------------------------------------------------------------

_GROUP = re.compile(r"/(\d{1,9})(?:/attributes/events/data/(\d{1,9}))?(?:/|$)")
_EVENTS = ("attributes", "events", "data")


def _no_body(records: Sequence[bytes]) -> None:
    """The row is in the path of its request."""


def _apart(records: Sequence[bytes]) -> bytes:  # noqa: ARG001
    """The body says all it says of a row by itself: the record is not in it (manual mode)."""
    return b""


def _event_groups(records: Sequence[bytes]) -> bytes:
    """Events of equal profiles in one group, in the order in which each profile first comes (bulk_create_events)."""
    loaded = [exact_json.loads(record) for record in records]
    return b",".join(_joined([loaded[position] for position in group]) for group in _groups(loaded))


def _events_named(records: Sequence[bytes], rests: Sequence[str]) -> list[list[int]]:
    """Rows that pointers mean: one event of a group, or the whole group where they stay outside the events."""
    groups = _groups([exact_json.loads(record) for record in records])
    named = []
    for found in map(_GROUP.match, rests):
        group = groups[int(found[1])] if found is not None and int(found[1]) < len(groups) else []
        named.append(group if found is None or found[2] is None else group[int(found[2]) :][:1])
    return named


def _groups(loaded: Sequence[Json]) -> list[list[int]]:
    """Positions of the rows of each group, by everything but the events."""
    groups: dict[bytes, list[int]] = {}
    for position, record in enumerate(loaded):
        held = get_object(record, ("attributes",))
        person = exact_json.dumps({name: held[name] for name in held if name != "events"}, sort_keys=True)
        groups.setdefault(person, []).append(position)
    return list(groups.values())


def _joined(records: list[Json]) -> bytes:
    """The first record with the events of all."""
    lists = (get(record, _EVENTS) for record in records)
    events: list[Json] = [event for held in lists if isinstance(held, list) for event in held]
    first = records[0]
    if isinstance(first, dict) and isinstance(get(first, ("attributes",)), dict):
        put(first, ("attributes", "events"), {"data": events})
    return exact_json.dumps(first)


def _identifiers(records: Sequence[bytes]) -> bytes:
    """v2: lists of emails, phone numbers and push tokens; the skeleton opens and closes the list of emails."""
    kinds: dict[str, list[Json]] = {"email": [], "phone_number": [], "push_token": []}
    for record in map(exact_json.loads, records):
        kind = next((kind for kind in kinds if get(record, (kind,))), "email")
        kinds[kind].append(get(record, (kind,)))
    emails, phones, tokens = (exact_json.dumps(values)[1:-1] for values in kinds.values())
    others = ((b'"phone_numbers":[', phones), (b'"push_tokens":[', tokens))
    return emails + b"".join(b"]," + name + values for name, values in others if values)


def _form(records: Sequence[bytes]) -> bytes:
    """v1: the record without its braces beside the token, percent-encoded in the form field `data`."""
    return quote_plus(records[0].strip()[1:-1]).encode()


NOTHING = Arrangement(_no_body)
ARRANGEMENTS = {
    BodyLayout.APART: Arrangement(_apart),
    BodyLayout.EVENT_GROUPS: Arrangement(_event_groups, _events_named),
    BodyLayout.IDENTIFIERS: Arrangement(_identifiers),
    BodyLayout.FORM: Arrangement(_form),
}


# --- envelopes ------------------------------------------------------------------------------------

# Private-use characters stand for what is filled in later: no setting and no constant holds them.
_ROWS, _KEY, _NOW = "\ue000rows\ue001", "\ue000key\ue001", "\ue000now\ue001"
_LATER = {"rows": _ROWS, "row": _ROWS, "api_key": _KEY, "now": _NOW}
Values = Mapping[str, str]


def envelope(plan: WritePlan, values: Values) -> Envelope:
    """The envelope of rows with these values of the plan's `params`; the plan's settings fill the rest."""
    template, query = plan.template, plan.query
    if template.is_manual:
        path = manual_path(template, values)
        # percent-encoded when it is sent
        query = tuple((body.filled_text(name, values), body.filled_text(text, values)) for name, text in query)
    else:
        path, prefixes = template.path, {setting.name: setting.prefix for setting in template.settings}
        for name, value in {**plan.settings, **values}.items():
            path = path.replace("{" + name + "}", quote(with_prefix(value, prefixes.get(name, "")), safe=""))
    head, tail = _around(plan, values)
    arrangement = NOTHING if template.body is None else ARRANGEMENTS.get(template.layout)
    of_a_row = template.is_manual and bool(template.settings)
    separator = FORMATS[plan.content_format].separator
    given = {**plan.settings, **values}
    list_id, again = given.get("list_id", ""), given.get(RESUBSCRIBE) == "true"
    return Envelope(path, head, tail, separator, query, arrangement, of_a_row, list_id, again)


def manual_path(template: Template, values: Values) -> str:
    """The path of manual mode with its columns filled in."""
    return body.filled_text(template.path, values, lambda value: quote(value, safe=""))


def _around(plan: WritePlan, values: Values) -> tuple[bytes, bytes]:
    """What stands before and after the rows."""
    template = plan.template
    if template.body is None:
        return b"", b""
    if template.layout is BodyLayout.FORM:
        return _around_form(template.body)
    if template.is_manual:
        types = {column.name: column.type.name for column in plan.columns}
        return body.around(plan.body_text, plan.content_format, values, types)
    return _around_rows(template, {**plan.settings, **values})


def _around_form(skeleton: object) -> tuple[bytes, bytes]:
    """v1: `data=` and the percent-encoded JSON object of the skeleton, open for the fields of the row."""
    text = _json(filled(skeleton, _LATER.get)[0])
    before, after = (quote_plus(part) for part in text[:-1].split(_KEY))
    return b"data=" + before.encode() + KEY_PLACEHOLDER + after.encode() + b"%2C", b"%7D"


def _around_rows(template: Template, values: Values) -> tuple[bytes, bytes]:
    """What stands before and after the rows of a JSON body, brackets of a list included."""
    given = {one.name: value_of(one, values[one.name]) for one in template.settings if one.name in values}
    text = _json(filled(template.body, {**given, **_LATER}.get)[0])
    text = text.replace(_KEY, KEY_PLACEHOLDER.decode()).replace(_NOW, NOW_PLACEHOLDER.decode())
    head, _, tail = text.partition(f'"{_ROWS}"')
    if pointer_to(template.body, "{row}") is None:
        head, tail = head + "[", "]" + tail
    return head.encode(), tail.encode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
