"""Nodes of a record as Spark columns: what `to_json` writes for them is their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.plan.forms import TEXT, WHOLE
from spark_klaviyo.plan.model import RequestParam, WritePlan
from spark_klaviyo.plan.shape import ONE_ITEM, Each, Fixed, Leaf, Node, Record, When
from spark_klaviyo.plan.types import Type
from spark_klaviyo.screen.patterns import word_pattern

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn

Column: TypeAlias = "SparkColumn"

# The texts of the type table.
JSON_OPTIONS = {
    "ignoreNullFields": "true",
    "timeZone": "UTC",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "dateFormat": "yyyy-MM-dd",
    "pretty": "false",
}


class Columns:
    """The columns of one plan. `functions` is `pyspark.sql.functions`; DataFrame columns are called c0, c1, ..."""

    def __init__(self, functions: ModuleType, plan: WritePlan) -> None:
        self.f = functions
        self.plan = plan
        self.numbers = {column.name: n for n, column in reversed(list(enumerate(plan.columns)))}

    def column(self, leaf: Leaf) -> Column:
        """The value of a leaf as Spark has it."""
        found = self.f.col(f"c{self.numbers[leaf.source[0]]}")
        for part in leaf.source[1:]:
            found = found.getField(part)
        return found

    def record(self, separator: str) -> Column:
        """The JSON of each row and the separator; never null."""
        if self.plan.record is None:
            given = self.f.col(f"c{self.numbers[self.plan.record_column or '']}")
            return self.f.concat(self.f.coalesce(given.cast("string"), self.f.lit("")), self.f.lit(separator))
        head, inner, tail = peel(self.plan.record)
        if inner is None:
            return self.f.lit(head + tail + separator)
        text = self.f.to_json(self._struct(inner), JSON_OPTIONS)
        return self.f.concat(*([self.f.lit(head)] if head else []), text, self.f.lit(tail + separator))

    def aside(self, params: Sequence[RequestParam]) -> Column:
        """`{name: text of the value}` of each row."""
        texts = [self._text(aside.leaf).alias(aside.name) for aside in params]
        return self.f.to_json(self.f.struct(*texts), JSON_OPTIONS)

    def _text(self, leaf: Leaf) -> Column:
        value = self.node(Leaf(leaf.source, leaf.type, leaf.form, leaf.prefix))
        if leaf.type.name in ("array", "map", "struct"):
            return self.f.to_json(value, JSON_OPTIONS)
        return value if leaf.type.name in ("timestamp", "timestamp_ntz", "binary") else value.cast("string")

    # --- nodes ----------------------------------------------------------------------------------

    def node(self, node: Node) -> Column:
        """The column that `to_json` writes as this node; null where its value is missing."""
        if isinstance(node, Leaf):
            return self._leaf(node)
        if isinstance(node, Fixed):
            return self._literal(node.value)
        if isinstance(node, Each):
            return self._each(node)
        if isinstance(node, When):
            return self.f.when(self.holds(node), self.node(node.then))
        made = self._list(node) if is_list(node) else self._struct(node)
        here = self.present(node)
        return made if here is None else self.f.when(here, made)

    def present(self, node: Node) -> Column | None:
        """Whether a node has a value; None: always."""
        if isinstance(node, Leaf | Each):
            return self.column(node.leaf if isinstance(node, Each) else node).isNotNull()
        if isinstance(node, When):
            then = self.present(node.then)
            return self.holds(node) if then is None else self.holds(node) & then
        if isinstance(node, Fixed) or not (node.omit_empty or is_list(node)):
            return None
        found = [self.present(child) for _, child in node.fields]
        any_of = self.f.lit(False)
        for here in found:
            if here is None:
                return None
            any_of = here if here is found[0] else any_of | here
        return any_of

    def holds(self, node: When) -> Column:
        """Whether the column of a `When` holds its word; null counts as no."""
        column = self.column(node.leaf)
        if node.leaf.type.name == "array":
            one = self.f.exists(column, lambda item: item.cast("string").rlike(word_pattern(node.word)))
            return self.f.coalesce(one, self.f.lit(False))
        return self.f.coalesce(column.rlike(word_pattern(node.word)), self.f.lit(False))

    def _struct(self, node: Record) -> Column:
        return self.f.struct(*(self.node(child).alias(name) for name, child in node.fields if not _void(child)))

    def _list(self, node: Record) -> Column:
        return self.f.array(self.node(node.fields[0][1]))

    def _leaf(self, leaf: Leaf) -> Column:
        column, name = self.column(leaf), leaf.type.name
        whole = is_whole(leaf.type)
        if leaf.prefix and (whole or name in TEXT):
            return self._prefixed(column.cast("string"), leaf.prefix)
        if leaf.form == "text" and whole:
            return column.cast("string")
        if leaf.form == "datetime" and name == "date":
            return self.f.concat(column.cast("string"), self.f.lit("T00:00:00.000000Z"))
        if leaf.form == "datetime" and name == "timestamp_ntz":
            return self._utc(column)
        return column

    def _prefixed(self, text: Column, prefix: str) -> Column:
        """The text behind its prefix, unless it begins with it already."""
        bare = self.f.regexp_replace(text, "^" + re.escape(prefix), "") if prefix else text
        return self.f.concat(self.f.lit(prefix), bare)

    def _utc(self, column: Column) -> Column:
        """Text of a timestamp_ntz read as UTC. By way of JSON: a cast would pass through the session's zone."""
        text = self.f.to_json(self.f.struct(column.alias("v")), JSON_OPTIONS)
        inner = self.f.regexp_extract(text, '"([^"]*)"\\}$', 1)
        return self.f.when(column.isNotNull(), self.f.concat(inner, self.f.lit("Z")))

    def _each(self, node: Each) -> Column:
        column, f = self.column(node.leaf), self.f

        def identifier(item: Column) -> Column:
            text = self._prefixed(item.cast("string"), node.leaf.prefix)
            return f.struct(f.lit(node.kind).alias("type"), text.alias("id"))

        if node.leaf.type.name != "array":
            return f.when(column.isNotNull(), f.array(identifier(column)))
        return f.transform(f.filter(column, lambda item: item.isNotNull()), identifier)

    def _literal(self, value: Json) -> Column:
        if isinstance(value, dict):
            return self.f.struct(*(self._literal(inner).alias(name) for name, inner in value.items()))
        if isinstance(value, list):
            return self.f.array(*map(self._literal, value))
        return self.f.lit(value)


def is_list(node: Record) -> bool:
    """Whether a record stands for a list with one item."""
    return len(node.fields) == 1 and node.fields[0][0] == ONE_ITEM


def is_whole(kind: Type) -> bool:
    """Whether values are whole numbers, which a text field takes as text."""
    return kind.name in WHOLE or (kind.name == "decimal" and kind.scale == 0)


def _void(node: Node) -> bool:
    return isinstance(node, Leaf) and node.type.name == "void"


def peel(record: Record) -> tuple[str, Record | None, str]:
    """Constant text around the one part of a record that varies: what `to_json` need not write in every row."""
    varying = [(name, node) for name, node in record.fields if not isinstance(node, Fixed)]
    inner = varying[0][1] if len(varying) == 1 else None
    if not varying and not is_list(record):
        return _dumps({name: node.value for name, node in record.fields if isinstance(node, Fixed)}), None, ""
    if not isinstance(inner, Record) or inner.omit_empty or is_list(inner) or is_list(record):
        return "", record, ""
    place = [name for name, _ in record.fields].index(varying[0][0])
    before, after = (
        [f"{_dumps(name)}:{_dumps(node.value)}" for name, node in part if isinstance(node, Fixed)]
        for part in (record.fields[:place], record.fields[place + 1 :])
    )
    head, core, tail = peel(inner)
    opening = ",".join([*before, f"{_dumps(varying[0][0])}:{head}"])
    return "{" + opening, core, tail + "".join("," + part for part in after) + "}"


def _dumps(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
