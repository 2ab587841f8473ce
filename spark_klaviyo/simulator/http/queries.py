"""Query strings: `filter`, `page[size]`, `page[cursor]`, `additional-fields`."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from spark_klaviyo.simulator.clock import read_time
from spark_klaviyo.simulator.errors import bad_parameter, bad_request
from spark_klaviyo.simulator.http.operation import Call

T = TypeVar("T")

CONDITION = re.compile(r"\s*([a-z-]+)\(\s*([\w.\[\]'-]+)\s*,\s*(.*)\)\s*\Z", re.DOTALL)
EQUALS = ("any", "equals")
AROUND = ("greater-or-equal", "greater-than", "less-or-equal", "less-than")


class Condition(NamedTuple):
    """One `operator(field,value)` of a filter."""

    operator: str
    field: str
    value: Any

    def holds(self, found: Any) -> bool:
        """Whether a value passes; times compare as times."""
        if self.operator == "any":
            return found in self.value
        if self.operator == "equals":
            return bool(found == self.value)
        if self.operator in AROUND:
            return found is not None and _ORDER[self.operator](found, self.value)
        return isinstance(found, str) and _TEXT[self.operator](found.lower(), str(self.value).lower())


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "greater-or-equal": lambda found, value: bool(found >= value),
    "greater-than": lambda found, value: bool(found > value),
    "less-or-equal": lambda found, value: bool(found <= value),
    "less-than": lambda found, value: bool(found < value),
}
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda found, value: value in found,
    "starts-with": lambda found, value: found.startswith(value),
    "ends-with": lambda found, value: found.endswith(value),
}


def read_filter(call: Call, allowed: Mapping[str, Sequence[str]]) -> list[Condition]:
    """The conditions of `filter`; a field or an operator that is not allowed is a 400."""
    text = call.query.get("filter", "")
    conditions = [_condition(part) for part in _split(text)] if text else []
    for condition in conditions:
        operators = allowed.get(condition.field)
        if operators is None:
            raise bad_parameter("filter", f"'{condition.field}' is not a valid field for filtering.")
        if condition.operator not in operators:
            # recorded 2026-09: two blanks before Allowed
            refused = f"'{condition.operator}' is not an allowed filter operator for {condition.field}."
            raise bad_parameter("filter", f"{refused}  Allowed operators are {', '.join(operators)}")
    return conditions


def _split(text: str) -> list[str]:
    if text.startswith("and(") and text.endswith(")"):
        text = text[4:-1]
    parts, depth, quoted, start, escaped = [], 0, False, 0, False
    for place, letter in enumerate(text):
        if quoted:
            quoted, escaped = (letter != '"' or escaped), (letter == "\\" and not escaped)
        elif letter == '"':
            quoted = True
        else:
            depth += (letter in "([") - (letter in ")]")
            if letter == "," and depth == 0:
                parts.append(text[start:place])
                start = place + 1
    return [*parts, text[start:]]


def _condition(text: str) -> Condition:
    match = CONDITION.match(text)
    if match is None:
        raise bad_parameter("filter", f"Invalid filter provided: {text}")
    operator, field, written = match.groups()
    try:
        value = json.loads(written)
    except json.JSONDecodeError:
        value = read_time(written)
        if value is None:
            raise bad_parameter("filter", f"Invalid filter provided: {text}") from None
    if operator in AROUND and isinstance(value, str):
        value = read_time(value)
    if (operator == "any") != isinstance(value, list):
        raise bad_parameter("filter", f"Invalid filter provided: {text}")
    return Condition(operator, field, value)


def read_query(target: str) -> dict[str, str]:
    """The query's parameters; a `+` that is not percent-encoded becomes a blank, as everywhere."""
    _, _, query = target.partition("?")
    return dict(parse_qsl(query, keep_blank_values=True))


def page_size(call: Call, default: int, most: int, kind: str) -> int:
    """`page[size]`, refused where the endpoint has none (most == 0)."""
    text = call.query.get("page[size]")
    if text is None:
        return default
    if not most:
        # recorded 2026-09: job listings have no page[size]
        raise bad_request("/data/attributes/page_size", f"'page_size' is not a valid field for the resource '{kind}'.")
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise bad_request("/data/attributes/page_size", f"'page_size' must be between 1 and {most}.")
    return int(text)


def cursor(call: Call) -> int:
    """Where the page begins: the number inside the opaque `page[cursor]`."""
    text = call.query.get("page[cursor]")
    if not text:
        return 0
    try:
        # recorded 2026-09: unpadded base64 of next::id::<number>
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().rpartition("::")[2])
    except (ValueError, binascii.Error) as error:
        raise bad_parameter("page[cursor]", "Invalid cursor provided.") from error


def next_link(call: Call, place: int) -> str:
    """The same request with another cursor."""
    code = base64.urlsafe_b64encode(f"next::id::{place}".encode()).decode().rstrip("=")
    path = call.target.partition("?")[0]
    query = {**{name: value for name, value in call.query.items() if name != "page[cursor]"}, "page[cursor]": code}
    return f"{call.base}{path}?{urlencode(query, quote_via=quote)}"


def page(call: Call, found: Iterable[T], size: int) -> tuple[list[T], str | None]:
    """One page of a collection counted from its beginning, and the link to the next."""
    start = cursor(call)
    rows = list(islice(found, start, start + size + 1))
    return rows[:size], next_link(call, start + size) if len(rows) > size else None
