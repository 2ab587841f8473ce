"""Manual mode: any URL, method, headers, content format and body, made into a template like any other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from spark_klaviyo.plan import formats
from spark_klaviyo.records import KEY_MARK, NOW_MARK, Limits
from spark_klaviyo.templates import CURRENT
from spark_klaviyo.templates.model import MAX_BODY, M, Template

if TYPE_CHECKING:
    from spark_klaviyo.options.read import Options
    from spark_klaviyo.plan.model import WritePlan

ROWS, ROW, RESERVED = "{rows}", "{row}", ("rows", "row", "api_key", "now")
PLACEHOLDER = re.compile(r"\{([^{}\":,\s][^{}\":,]*)\}")
DEFAULT_ROWS = 100  # no endpoint, no limit known: what v2 members took; `max_rows` changes it


def template(options: Options) -> Template:
    """A template made of the manual options; a current endpoint's own limits and quota where the path is one's."""
    parts = urlsplit(options.url)
    known = next((t for t in CURRENT.values() if t.path == parts.path.rstrip("/") and t.method == options.method), None)
    return Template(
        name="manual",
        family="manual",
        summary="Any URL, method, headers, content format and body.",
        method=options.method,
        path=parts.path,
        body=body_text(options) or None,
        fields=(),
        limits=known.limits if known else Limits(DEFAULT_ROWS, MAX_BODY),
        quota=known.quota if known else M,
        outcome="delivered",
        as_rows=True,
        keep_empty=(),
        pointer=known.pointer if known else "",
        legacy="v1" if "/api/v1/" in parts.path or parts.path in ("/api/track", "/api/identify") else "",
    )


def is_old(path: str) -> bool:
    """Whether a path belongs to the retired v1 and v2 APIs, which know no `revision`."""
    return path.startswith(("/api/v1/", "/api/v2/", "/api/track", "/api/identify"))


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def query(url: str) -> tuple[tuple[str, str], ...]:
    """The query parameters of the given URL, in order."""
    return tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def body_text(options: Options) -> str:
    """The body template: as given, or all rows (one row when not batched); nothing for GET unless given."""
    if options.body is not None:
        return options.body
    if options.method == "GET":
        return ""
    if options.key_in == "body" and options.content_format == "json":
        return '{"api_key":"{api_key}","profiles":{rows}}'
    return ROWS if options.batch_mode else ROW


def placeholders(options: Options) -> list[str]:
    """The columns that URL and body name: `{sku}` in either, filled per row."""
    text = urlsplit(options.url).path + "?" + urlsplit(options.url).query
    names = PLACEHOLDER.findall(text) + PLACEHOLDER.findall(body_text(options))
    return [name for name in dict.fromkeys(names) if name not in RESERVED]


def one_row_a_request(made: Template, options: Options) -> bool:
    """A path or body that names a column, a single-record body, or a method without one."""
    if made.family != "manual":
        return bool(made.item_paths)
    text = body_text(options)
    return bool(placeholders(options)) or ROW in text or not text


def around(plan: WritePlan, values: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Head and tail of a manual body: what its text says before and after the rows."""
    text = plan.body_text
    if not text:
        return b"", b""
    token = ROWS if ROWS in text else ROW
    head, found, tail = text.partition(token)
    names = [field.name for field in plan.columns]
    before, after = formats.around_rows(plan.content_format, names, batched=token == ROWS) if found else (b"", b"")
    return _fill(head, plan, values) + before, after + _fill(tail, plan, values)


def _fill(text: str, plan: WritePlan, values: Mapping[str, str]) -> bytes:
    for name, value in values.items():
        text = text.replace("{" + name + "}", formats.quoted(plan.content_format, value))
    filled = text.encode()
    return filled.replace(b"{api_key}", KEY_MARK).replace(b"{now}", NOW_MARK)


def is_json(text: str) -> bool:
    """Whether a body template is JSON once its placeholders hold something."""
    probe = re.sub(r"\{rows\}", "[]", text)
    probe = re.sub(r"\{row\}", "{}", probe)
    try:
        json.loads(PLACEHOLDER.sub("0", probe))
    except ValueError:
        return False
    return True
