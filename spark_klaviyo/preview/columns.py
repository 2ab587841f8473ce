"""Which column goes where, with a hint where a column looks like a field that it did not become."""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.plan.mapping import near_misses
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.settings import fields_of_settings
from spark_klaviyo.report.pages.preview import CUSTOM_PROPERTY, DROPPED, MappedColumn


def mapped_columns(plan: WritePlan) -> tuple[MappedColumn, ...]:
    """A line for each column of the DataFrame, in its order where a column is sent whole."""
    order = {column.name: number for number, column in enumerate(plan.columns)}
    lines = sorted(_lines(plan), key=lambda line: order.get(line.column, order.get(line.column.partition(".")[0], 0)))
    return tuple(lines)


def _lines(plan: WritePlan) -> Iterator[MappedColumn]:
    explained = {column.partition(".")[0] for column, _ in plan.mapped} | {column for column, _ in plan.mapped}
    no_field = [column for column, becomes in plan.mapped if becomes == DROPPED or column in plan.unmapped]
    fields = fields_of_settings(plan.template)
    near = near_misses(no_field, plan.template, {fields[name] for name in plan.settings if name in fields})
    for column, becomes in plan.mapped:
        is_custom = column in plan.unmapped and bool(plan.template.properties_path)
        hint = f"did you mean {near[column]}?" if column in near else ""
        yield MappedColumn(column, CUSTOM_PROPERTY if is_custom else becomes, hint)
    for param in plan.params:
        if param.leaf.source[0] not in explained:
            yield MappedColumn(".".join(param.leaf.source), param.name, "decides where a row goes")
            explained.add(param.leaf.source[0])
    for name in (column.name for column in plan.columns):
        if name not in explained:
            yield MappedColumn(name, "the whole record" if name == plan.record_column else "not sent")
