"""What a preview shows: requests as they would be sent, with secrets hidden, and which column goes where."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from urllib.parse import urlencode

from spark_klaviyo.batching.assembler import key_length
from spark_klaviyo.core.clock import rfc3339
from spark_klaviyo.core.codes import KeyIn
from spark_klaviyo.core.models import KEY_PLACEHOLDER, NOW_PLACEHOLDER, Batch
from spark_klaviyo.options.secrets import masked
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.names import Sure, entry_of, near_misses
from spark_klaviyo.plan.settings import fields_of_settings
from spark_klaviyo.report.pages.preview import CUSTOM_PROPERTY, DROPPED, HIDDEN, MappedColumn, PreviewRequest

_SECRET = re.compile(r"auth|key|token|secret|password|cookie|signature|credential", re.IGNORECASE)


def render_request(plan: WritePlan, batch: Batch) -> PreviewRequest:
    """Method, URL, headers and body of one request."""
    parts = batch.parts()
    text = b"".join(parts)
    body = text.replace(KEY_PLACEHOLDER, HIDDEN.encode())
    longer = text.count(KEY_PLACEHOLDER) * ((key_length(plan) or len(HIDDEN)) - len(HIDDEN))
    body = body.replace(NOW_PLACEHOLDER, rfc3339(datetime.now(timezone.utc)).encode())
    query = list(batch.envelope.query) + ([("api_key", HIDDEN)] if plan.key_in is KeyIn.QUERY else [])
    asked = "?" + urlencode(query, safe="*") if query else ""
    return PreviewRequest(
        method=plan.template.method,
        url=_hidden(plan, plan.base_url + batch.envelope.path + asked),
        headers=_headers(plan, has_body=bool(parts)),
        body=_hidden(plan, body.decode("utf-8", "replace")),
        rows=batch.rows,
        bytes=len(body) + longer,
        unfilled=plan.base_url + plan.template.path,
    )


def _headers(plan: WritePlan, *, has_body: bool) -> tuple[tuple[str, str], ...]:
    given = [(name, HIDDEN if _SECRET.search(name) else _hidden(plan, value)) for name, value in plan.headers.items()]
    sent = [pair for pair in given if has_body or pair[0].lower() != "content-type"]
    if plan.key_in is KeyIn.API_KEY_HEADER:
        return ("api-key", HIDDEN), *sent
    if plan.key_in is not KeyIn.HEADER:
        return tuple(sent)
    scheme = "Bearer" if plan.credentials.access_token is not None else "Klaviyo-API-Key"
    return ("Authorization", f"{scheme} {HIDDEN}"), *sent


def _hidden(plan: WritePlan, text: str) -> str:
    secret = plan.credentials.reveal()
    return masked(text.replace(secret, HIDDEN) if secret else text)


def mapped_columns(plan: WritePlan, cards: Collection[str] = ()) -> tuple[MappedColumn, ...]:
    """A line for each column of the DataFrame, in its order where a column is sent whole; `cards` hold card numbers."""
    order = {column.name: number for number, column in enumerate(plan.columns)}
    lines = sorted(_lines(plan), key=lambda line: order.get(line.column, order.get(line.column.partition(".")[0], 0)))
    return tuple(_of_cards(plan, line) if line.column in cards else line for line in lines)


def _of_cards(plan: WritePlan, line: MappedColumn) -> MappedColumn:
    entry = entry_of(f"{plan.template.properties_path[-1]}.{line.column.rpartition('.')[2]}", line.column)
    return MappedColumn(line.column, DROPPED, "it holds card numbers", str(Sure.SECRET), entry)


def _lines(plan: WritePlan) -> Iterator[MappedColumn]:
    explained = {column.partition(".")[0] for column, _ in plan.mapped} | {column for column, _ in plan.mapped}
    no_field = [column for column, becomes in plan.mapped if becomes == DROPPED or column in plan.unmapped]
    fields = fields_of_settings(plan.template)
    notes = {note.column: note for note in plan.notes}
    no_field = [column for column in no_field if column not in notes]
    near = near_misses(no_field, plan.template, {fields[name] for name in plan.settings if name in fields})
    for column, becomes in plan.mapped:
        is_custom = column in plan.unmapped and bool(plan.template.properties_path)
        hint = f"did you mean {near[column]}?" if column in near else ""
        note = notes.get(column)
        sure, instead = (str(note.sure), note.instead) if note else ("", "")
        yield MappedColumn(column, CUSTOM_PROPERTY if is_custom else becomes, hint, sure, instead)
    for param in plan.params:
        if param.leaf.source[0] not in explained:
            yield MappedColumn(".".join(param.leaf.source), param.name, "decides where a row goes")
            explained.add(param.leaf.source[0])
    for name in (column.name for column in plan.columns):
        if name not in explained:
            yield MappedColumn(name, "the whole record" if name == plan.record_column else "not sent")
