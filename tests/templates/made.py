"""Examples as plans, encoded rows, bodies, and writes to a simulator, without Spark."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from spark_klaviyo.batching.assembler import BatchAssembler
from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.models import Batch, Rejection
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.encode.rows import arrow_batches
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.templates.examples import EXAMPLES, HELPERS, Example

Encoder = Callable[[WritePlan, Sequence[tuple[object, ...]]], Iterator[pa.RecordBatch]]
_SCALARS = {bool: "boolean", int: "long", float: "double", str: "string", datetime: "timestamp", date: "date"}
_ARROW = {
    "boolean": pa.bool_(),
    "long": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}


def spark_type(values: Sequence[object]) -> object:
    """Spark's JSON form of the type of these values; nulls have none."""
    present = [value for value in values if value is not None]
    if present and isinstance(present[0], list):
        inner = [item for value in present if isinstance(value, list) for item in value]
        return {"type": "array", "elementType": spark_type(inner), "containsNull": True}
    if present and isinstance(present[0], dict):
        names = dict.fromkeys(name for value in present if isinstance(value, dict) for name in value)
        fields = [
            {"name": name, "type": spark_type([v.get(name) for v in present if isinstance(v, dict)]), "nullable": True}
            for name in names
        ]
        return {"type": "struct", "fields": fields}
    return _SCALARS[type(present[0])] if present else "string"


def arrow_type(form: object) -> pa.DataType:
    """The Arrow type of Spark's JSON form of a type."""
    if isinstance(form, str):
        return _ARROW[form]
    assert isinstance(form, dict)
    if form["type"] == "array":
        return pa.list_(arrow_type(form["elementType"]))
    return pa.struct([(field["name"], arrow_type(field["type"])) for field in form["fields"]])


def types_of(example: Example) -> dict[str, object]:
    """Each column's type, in Spark's JSON form."""
    return {name: example.types.get(name, spark_type(values)) for name, values in example.columns.items()}


def plan_of(template: str, example: Example, **options: str) -> WritePlan:
    """The plan of an example."""
    given = {"api_key": "pk_test", "base_url": "http://127.0.0.1:9", "template": template, **example.options, **options}
    columns = [Field(name, read_type(form)) for name, form in types_of(example).items()]  # type: ignore[arg-type]
    return make_plan(options_at(EntryPoint.FUNCTION, given), columns, "run")


def by_rows(plan: WritePlan, example: Example) -> Iterator[pa.RecordBatch]:
    """The rows as `foreachPartition` hands them over."""
    columns = map(with_made_up_ids, example.columns.values())
    yield from encode_batches(arrow_batches(zip(*columns, strict=True), plan.columns), plan)


def by_arrow(plan: WritePlan, example: Example) -> Iterator[pa.RecordBatch]:
    """The rows as Arrow columns."""
    types = types_of(example)
    arrays = [pa.array(with_made_up_ids(values), arrow_type(types[name])) for name, values in example.columns.items()]
    yield from encode_batches([pa.RecordBatch.from_arrays(arrays, names=list(example.columns))], plan)


def with_made_up_ids(values: Sequence[object]) -> list[object]:
    """The values with an id for each profile that no simulator has named."""

    def made_up(value: object) -> object:
        known = isinstance(value, str) and "<profile " in value
        return f"01{hashlib.sha256(str(value).encode()).hexdigest()[:24].upper()}" if known else value

    return list(map(made_up, values))


def batches_of(
    plan: WritePlan, example: Example, encode: Callable[[WritePlan, Example], Iterator[pa.RecordBatch]] = by_rows
) -> tuple[list[Batch], list[Rejection]]:
    """The requests of an example, and the rows refused before sending."""
    assembler = BatchAssembler(plan, TaskReport(started=0.0), Stop())
    batches = [batch for batch in assembler.batches(encode(plan, example)) if batch is not None]
    return batches, assembler.taken_rejections()


def body_of(batch: Batch) -> bytes:
    """The body as it is sent, but for its marks."""
    return b"".join(map(bytes, batch.parts()))


def write(
    klaviyo: KlaviyoSimulator, template: str, example: Example, clock: Clock | None = None, **options: str
) -> TaskReport:
    """Write an example to a simulator, with what goes before it; the report."""
    for earlier in example.before:
        name, other = HELPERS.get(earlier, (earlier, EXAMPLES.get(earlier, example)))
        done = write(klaviyo, name, other)
        assert done.rejected == 0, (name, done.rejects_sample)
    with_ids = _with_ids(klaviyo, example)
    plan = plan_of(template, with_ids, base_url=klaviyo.url, **options)
    with SendContextFactory(clock or Clock()).open(plan, 0, 0) as context:
        *_, report = run_task(plan, by_rows(plan, with_ids), context, follows=True)
    assert isinstance(report, TaskReport)
    return report


def _with_ids(klaviyo: KlaviyoSimulator, example: Example) -> Example:
    ids: dict[str, str] = {}
    ids |= {f"<profile {one['email']}>": one["id"] for one in klaviyo.profiles}
    ids |= {f"<list {one.name}>": list_id for list_id, one in klaviyo.lists.items()}
    ids |= {f"<tag {one['name']}>": tag_id for tag_id, one in klaviyo.tags.items()}
    ids |= {f"<tag group {one['name']}>": group_id for group_id, one in klaviyo.tag_groups.items()}
    ids |= {f"<data source {one['title']}>": source_id for source_id, one in klaviyo.data_sources.items()}

    def with_id(value: object) -> object:
        return ids.get(value, value) if isinstance(value, str) else value

    columns = {name: [with_id(value) for value in values] for name, values in example.columns.items()}
    options = {name: str(with_id(value)) for name, value in example.options.items()}
    return Example(columns, options, (), example.types)


def marked(text: bytes) -> str:
    """A body with its key mark in words."""
    return re.sub("\x00key\x00", "THE_KEY", text.decode())


def loaded(batch: Batch) -> Mapping[str, Any]:
    """The body as JSON."""
    document: Mapping[str, Any] = json.loads(marked(body_of(batch)))
    return document
