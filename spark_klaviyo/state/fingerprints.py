"""What a state knows rows by: the hash of a row's key, and the hash of its content, 16 bytes each.

Both must be the same for the same row in every version, as another hash means that the row is sent again. The text of
the record alone decides, so that all entry points compare alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pyarrow as pa

from spark_klaviyo.arrow.encoded import KEY, PARAMS, RECORD
from spark_klaviyo.core.exact_json import get
from spark_klaviyo.core.identifiers import SEPARATOR, normalise_identifier
from spark_klaviyo.plan.model import WritePlan, key_of, of_request
from spark_klaviyo.state.format import HASH_BYTES, salted


def endpoint_of(plan: WritePlan) -> Mapping[str, object]:
    """What makes a delivery another one: the template and its settings; in manual mode the address."""
    several = {setting.name for setting in plan.template.settings if setting.takes_several}
    settings = {
        name: sorted(part.strip() for part in value.split(",")) if name in several else value
        for name, value in plan.settings.items()
    }
    manual = plan.template.is_manual
    address = [plan.base_url, [list(pair) for pair in plan.query], plan.body_text, str(plan.content_format)]
    return {
        "template": plan.template.name,
        "legacy": str(plan.template.api) if plan.template.is_retired else "",
        "method": plan.template.method,
        "path": plan.template.path,
        "settings": settings,
        "address": address if manual else [],
    }


def row_hashes(encoded: pa.RecordBatch, plan: WritePlan, scope: bytes) -> tuple[pa.Array, pa.Array]:
    """The hashes of key and content of each row of an encoded batch, within a scope of the state.

    Rows that replace no other, as they add or take away, are known by their content alone, which then is the key, too:
    `state.compare` numbers those with equal content.
    """
    salt = hashlib.sha256(f"{scope.hex()}\n".encode())
    records = encoded.column(RECORD).cast(pa.large_binary()).to_pylist()
    params = [f"{SEPARATOR}{text or ''}".encode() for text in encoded.column(PARAMS).to_pylist()]
    hashes = [_hash(salt, record, beside) for record, beside in zip(records, params, strict=True)]
    contents = pa.array(hashes, pa.binary())
    if not plan.checks.key or plan.template.takes_away:
        return contents, contents
    ends = params if depends_on_params(plan) else [b""] * len(params)
    if _has_channels_of_rows(plan):  # consent to another channel is another thing
        ends = [end + _channels(plan, record) for end, record in zip(ends, records, strict=True)]
    keys = encoded.column(KEY).cast(pa.binary()).to_pylist()
    named = [
        content
        if plan.checks.adds and _adds(plan, record)
        else _hash(salt, key if key is not None else _without_identifier(plan, record, content), end)
        for key, record, content, end in zip(keys, records, hashes, ends, strict=True)
    ]
    return pa.array(named, pa.binary()), contents


def _has_channels_of_rows(plan: WritePlan) -> bool:
    return bool(plan.checks.channels) and "channels" not in plan.settings


def _channels(plan: WritePlan, record: bytes) -> bytes:
    """The channels of a row, as it spells them."""
    try:
        given = get(json.loads(record[:-1]), plan.checks.channels_path)
    except (ValueError, RecursionError):
        return b""
    return SEPARATOR.encode() + json.dumps(given, sort_keys=True).encode()


def _hash(salt: hashlib._Hash, *texts: bytes) -> bytes:
    """`state.format.salted` of the texts together."""
    whole = salt.copy()
    for text in texts:
        whole.update(text)
    return whole.digest()[:HASH_BYTES]


def _adds(plan: WritePlan, record: str | bytes) -> bool:
    """Whether a record adds to a profile, or takes from it."""
    try:
        values = json.loads(record.rstrip(b",\n") if isinstance(record, bytes) else record)
    except (ValueError, RecursionError):
        return False
    return any(get(values, path) is not None for path in plan.checks.adds)


def _without_identifier(plan: WritePlan, record: bytes, content: bytes) -> bytes:
    """The key of a row without an identifier: its content, or where an event's id is made from some columns, those.

    One id may stand for events of several people and metrics.
    """
    checks = plan.checks
    values = json.loads(record[:-1]) if checks.unique_id_sources else None
    chosen, beside = (
        [normalise_identifier(path[-1], get(values, path)) for path in paths]
        for paths in (checks.unique_id_sources, checks.key_with)
    )
    return SEPARATOR.join(["", *(chosen + beside if any(chosen) else [content.hex().upper()])]).encode()


def depends_on_params(plan: WritePlan) -> bool:
    """Whether a row's key depends on more than its record: on its list, or its path."""
    return any(of_request(param.name, "true") for param in plan.params)


def record_key(plan: WritePlan, record: str) -> bytes | None:
    """The key of a row that a job named; None where its record does not show which row was sent."""
    if plan.state is None or depends_on_params(plan) or plan.template.takes_away or _has_channels_of_rows(plan):
        return None
    key = None if _adds(plan, record) else key_of(plan.checks, record)
    return None if key is None else salted(plan.state.scope, key)
