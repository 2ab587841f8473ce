"""Where a batch goes and what stands around its rows: path, query and body of the plan's template, filled in.

Settings of the plan and values of the rows fill them; the key and the time of sending stay placeholders until a request
is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Envelope
from spark_klaviyo.plan.manual import body, formats
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.request.arrange import ARRANGEMENTS, NOTHING
from spark_klaviyo.plan.settings import with_prefix
from spark_klaviyo.templates.model import BodyLayout, Setting, Template, pointer_to

# Private-use characters stand for what is filled in later: no setting and no constant holds them.
_ROWS, _KEY, _NOW = "\ue000rows\ue001", "\ue000key\ue001", "\ue000now\ue001"
_LATER = {"rows": _ROWS, "row": _ROWS, "api_key": _KEY, "now": _NOW}
Values = Mapping[str, str]


class _MissingError(Exception):
    """A setting that is not given: the optional key around it is left out."""


def envelope(plan: WritePlan, values: Values) -> Envelope:
    """The envelope of rows with these values of the plan's `params`; the plan's settings fill the rest."""
    template, query = plan.template, plan.query
    if template.is_manual:
        path = body.filled_text(template.path, values, lambda value: quote(value, safe=""))
        # percent-encoded when it is sent
        query = tuple((body.filled_text(name, values), body.filled_text(text, values)) for name, text in query)
    else:
        path = filled_path(template, {**plan.settings, **values})
    head, tail = _around(plan, values)
    arrangement = NOTHING if template.body is None else ARRANGEMENTS.get(template.layout)
    of_a_row = template.is_manual and bool(template.settings)
    return Envelope(path, head, tail, formats.separator(plan.content_format), query, arrangement, of_a_row)


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
    return around_rows(template, {**plan.settings, **values})


def filled_path(template: Template, values: Values) -> str:
    """The path with each `{name}` percent-encoded, settings behind their prefixes."""
    prefixes = {setting.name: setting.prefix for setting in template.settings}
    path = template.path
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(with_prefix(value, prefixes.get(name, "")), safe=""))
    return path


def _around_form(skeleton: object) -> tuple[bytes, bytes]:
    """v1: `data=` and the percent-encoded JSON object of the skeleton, open for the fields of the row."""
    text = _json(_filled(skeleton, {}, {}))
    before, after = (quote_plus(part) for part in text[:-1].split(_KEY))
    return b"data=" + before.encode() + KEY_PLACEHOLDER + after.encode() + b"%2C", b"%7D"


def around_rows(template: Template, values: Values) -> tuple[bytes, bytes]:
    """What stands before and after the rows of a JSON body, brackets of a list included."""
    settings = {setting.name: setting for setting in template.settings}
    head, _, tail = _json(_filled(template.body, values, settings)).partition(json.dumps(_ROWS, ensure_ascii=False))
    if pointer_to(template.body, "{row}") is None:
        head, tail = head + "[", "]" + tail
    return _with_placeholders(head), _with_placeholders(tail)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _with_placeholders(text: str) -> bytes:
    return text.encode().replace(_KEY.encode(), KEY_PLACEHOLDER).replace(_NOW.encode(), NOW_PLACEHOLDER)


def _filled(skeleton: object, values: Values, settings: Mapping[str, Setting]) -> object:
    if isinstance(skeleton, Mapping):
        return _filled_object(skeleton, values, settings)
    if isinstance(skeleton, list):
        return [_filled(item, each, settings) for item in skeleton for each in _repeated(item, values, settings)]
    if isinstance(skeleton, str) and skeleton.startswith("{") and skeleton.endswith("}"):
        return _value(skeleton[1:-1], values, settings)
    return skeleton


def _filled_object(
    skeleton: Mapping[str, object], values: Values, settings: Mapping[str, Setting]
) -> dict[str, object]:
    filled: dict[str, object] = {}
    for key, value in skeleton.items():
        try:
            filled[key.removesuffix("?")] = _filled(value, values, settings)
        except _MissingError:
            if not key.endswith("?"):
                raise
    return filled


def _repeated(item: object, values: Values, settings: Mapping[str, Setting]) -> list[Values]:
    """The values once for each of several that a setting in the item has, each with one of them."""
    for name, setting in settings.items():
        if setting.takes_several and name in values and pointer_to(item, "{" + name + "}") is not None:
            return [{**values, name: part.strip()} for part in values[name].split(",") if part.strip()]
    return [values]


def _value(name: str, values: Values, settings: Mapping[str, Setting]) -> object:
    if name in _LATER:
        return _LATER[name]
    if name not in values:
        raise _MissingError(name)
    setting = settings[name]
    return values[name] == "true" if setting.is_flag else with_prefix(values[name], setting.prefix)
