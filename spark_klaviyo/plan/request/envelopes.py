"""Where a batch goes and what stands around its rows: body skeletons with their settings filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Envelope
from spark_klaviyo.plan.manual import body, formats, manual_mode
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.request.arrange import ARRANGEMENTS, NOTHING
from spark_klaviyo.plan.settings import with_prefix
from spark_klaviyo.templates.model import BodyLayout

# Private-use characters stand for what is filled in later: no setting and no constant holds them.
_ROWS, _KEY, _NOW = "\ue000rows\ue001", "\ue000key\ue001", "\ue000now\ue001"
_TOKENS = {"rows": _ROWS, "row": _ROWS, "api_key": _KEY, "now": _NOW}


class _MissingError(Exception):
    """A setting that is not given: the optional key around it is left out."""


def envelope(plan: WritePlan, values: Mapping[str, str]) -> Envelope:
    """The envelope of rows with these per-row values; the plan's settings fill the rest."""
    settings = _prefixed(plan, {**plan.settings, **values})
    path, query, by_hand = plan.template.path, plan.query, plan.template.is_manual
    path = manual_mode.filled_path(path, values) if by_hand else fill_path(path, settings)
    if plan.template.layout is BodyLayout.FORM:
        head, tail = _form(plan.template.body)
    elif by_hand:
        head, tail, query = *_manual_body(plan, values), manual_mode.filled_query(query, values)
    elif plan.template.body is None:
        head, tail = b"", b""
    else:
        several = {setting.name for setting in plan.template.settings if setting.takes_several}
        head, tail = around_rows(plan.template.body, settings, several)
    arrangement = NOTHING if plan.template.body is None else ARRANGEMENTS.get(plan.template.layout)
    of_a_row = by_hand and bool(plan.template.settings)
    return Envelope(path, head, tail, formats.separator(plan.content_format), query, arrangement, of_a_row)


def _prefixed(plan: WritePlan, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings with the prefixes that they lack."""
    prefixes = {setting.name: setting.prefix for setting in plan.template.settings if setting.prefix}
    return {name: with_prefix(value, prefixes.get(name, "")) for name, value in settings.items()}


def _manual_body(plan: WritePlan, values: Mapping[str, str]) -> tuple[bytes, bytes]:
    """What the body template of manual mode says before and after the rows."""
    if not plan.body_text:
        return b"", b""
    types = {column.name: column.type.name for column in plan.columns}
    return body.around(plan.body_text, plan.content_format, list(types), values, types)


def _form(skeleton: object) -> tuple[bytes, bytes]:
    """v1: `data=` and the percent-encoded JSON object of the skeleton, open for the fields of the row."""
    text = json.dumps(_fill(skeleton, {}, set()), ensure_ascii=False, separators=(",", ":"))
    before, after = (quote_plus(part) for part in text[:-1].split(_KEY))
    return b"data=" + before.encode() + KEY_PLACEHOLDER + after.encode() + b"%2C", b"%7D"


def fill_path(path: str, settings: Mapping[str, str]) -> str:
    """The path with each `{name}` percent-encoded."""
    for name, value in settings.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return path


def around_rows(body: object, settings: Mapping[str, str], several: set[str]) -> tuple[bytes, bytes]:
    """Head and tail of a JSON body: what stands before and after the rows, with the marks for key and time."""
    text = json.dumps(_fill(body, settings, several), ensure_ascii=False, separators=(",", ":"))
    single = _holds(body, "{row}")
    head, _, tail = text.partition(json.dumps(_ROWS, ensure_ascii=False))
    return (_marked(head), _marked(tail)) if single else (_marked(head + "["), _marked("]" + tail))


def _marked(text: str) -> bytes:
    return text.encode().replace(_KEY.encode(), KEY_PLACEHOLDER).replace(_NOW.encode(), NOW_PLACEHOLDER)


def _holds(body: object, token: str) -> bool:
    children = body.values() if isinstance(body, Mapping) else body if isinstance(body, list) else ()
    return body == token or any(_holds(child, token) for child in children)


def _fill(body: object, settings: Mapping[str, str], several: set[str]) -> object:
    if isinstance(body, Mapping):
        return _fill_object(body, settings, several)
    if isinstance(body, list):
        return [_fill(item, each, several) for item in body for each in _each(item, settings, several)]
    if isinstance(body, str) and body.startswith("{") and body.endswith("}"):
        return _value(body[1:-1], settings)
    return body


def _fill_object(body: Mapping[str, object], settings: Mapping[str, str], several: set[str]) -> dict[str, object]:
    filled: dict[str, object] = {}
    for key, value in body.items():
        try:
            filled[key.removesuffix("?")] = _fill(value, settings, several)
        except _MissingError:
            if not key.endswith("?"):
                raise
    return filled


def _each(item: object, settings: Mapping[str, str], several: set[str]) -> list[Mapping[str, str]]:
    """One set of settings for each id of a comma-separated setting that the item names."""
    for name in several:
        if name in settings and _holds(item, "{" + name + "}"):
            return [{**settings, name: part.strip()} for part in settings[name].split(",") if part.strip()]
    return [settings]


def _value(name: str, settings: Mapping[str, str]) -> object:
    if name in _TOKENS:
        return _TOKENS[name]
    name, _, kind = name.partition(":")
    if name not in settings:
        raise _MissingError(name)
    text = settings[name]
    return text.lower() == "true" if kind == "boolean" else json.loads(text) if kind == "json" else text
