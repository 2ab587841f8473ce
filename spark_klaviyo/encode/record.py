"""A plan's record and the columns of one batch in, one struct array out: nested as the record, an element a row.

Columns are not copied. Two things that a struct array cannot hold stand in it as a mark and are put in place in the
finished text: nulls that are to be sent, and the entries of a map that joins the fields of an object.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Mask, any_in_group, children, grouped, is_list, plain, to_mask, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.encode.json_rows import json_lines, json_texts, replaced, spliced
from spark_klaviyo.encode.json_values import leaf_values, prefixed
from spark_klaviyo.plan.shape import ONE_ITEM, Each, Fixed, Leaf, Node, Record, When
from spark_klaviyo.screen.patterns import word_pattern


@dataclass(frozen=True)
class Value:
    """A node's values. `present`: in which rows there is one; None: in all."""

    array: pa.Array
    present: Mask | None


@dataclass
class RecordEncoder:
    """The records of one batch.

    `fields` and `entries` are what goes into the finished text, by the mark that stands in its place: the same field in
    every row, or the entries of each row's maps.
    """

    columns: Columns
    fields: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, list[bytes]] = field(default_factory=dict)

    def lines(self, record: Record) -> memoryview:
        """Each row's record as JSON and a line feed."""
        lines = json_lines(self.value(record).array)
        for mark, text in self.fields.items():
            lines = replaced(lines, _field(mark, True), text)
        for mark, texts in self.entries.items():
            lines = spliced(lines, _field(mark, True), texts)
        return lines

    def value(self, node: Node) -> Value:
        """The values of a node."""
        if isinstance(node, Leaf):
            column = leaf_values(node, self.columns.column(node))
            return Value(column, valid_rows(column) if column.null_count else None)
        if isinstance(node, Fixed):
            return Value(_constant(node.value, self.columns.rows), None)
        if isinstance(node, Each):
            return self._resource_ids(node)
        if isinstance(node, When):
            return _only(self.value(node.then), self._holds(node))
        return self._record(node)

    def _record(self, node: Record) -> Value:
        fields = [field for name, child in node.fields for field in self._fields(name, child)]
        if [name for name, _ in fields] == [ONE_ITEM]:
            return _one_item(fields[0][1])
        if node.spread:
            fields.append(self._map_entries(node, fields))
        if not fields:
            return _empty(self.columns.rows, present=not node.omit_empty)
        return _struct(fields, omit_empty=node.omit_empty)

    # --- lists of resource identifiers, conditions ------------------------------------------------

    def _resource_ids(self, node: Each) -> Value:
        column = plain(self.columns.column(node.leaf))
        items, groups = column, np.arange(self.columns.rows + 1)
        if is_list(column.type):
            (items,), groups = children(column)
        ids = prefixed(items, node.leaf.prefix)
        some = valid_rows(ids)
        groups = np.concatenate([np.zeros(1, np.int64), np.cumsum(some)])[groups]
        ids = ids.filter(pa.array(some))
        entries = pa.StructArray.from_arrays([_constant(node.kind, len(ids)), ids], names=["type", "id"])
        return Value(grouped(valid_rows(column), pa.list_(entries.type), groups, entries), valid_rows(column))

    def _holds(self, node: When) -> Mask:
        """In which rows the column of a condition holds its word."""
        column = plain(self.columns.column(node.leaf))
        items, groups = column, None
        if is_list(column.type):
            (items,), groups = children(column)
        same = to_mask(pc.match_substring_regex(plain(items).cast(pa.string()), word_pattern(node.word)))
        return same if groups is None else any_in_group(same, groups) & valid_rows(column)

    # --- what a struct array cannot hold ----------------------------------------------------------

    def _fields(self, name: str, child: Node) -> Iterator[tuple[str, Value]]:
        """A field, and where it has to be null or a constant object, a mark in its place."""
        if isinstance(child, Fixed) and (child.value is None or isinstance(child.value, dict | list)):
            yield self._marked(_field(name, child.value), np.ones(self.columns.rows, np.bool_))
            return
        value = self.value(child)
        yield name, value
        if isinstance(child, Leaf) and child.keep_null and value.present is not None:
            yield self._marked(_field(name, None), ~value.present)

    def _marked(self, text: bytes, rows: Mask) -> tuple[str, Value]:
        mark = _new_mark()
        self.fields[mark] = text
        return mark, _flags(rows)

    def _map_entries(self, node: Record, fields: Sequence[tuple[str, Value]]) -> tuple[str, Value]:
        """A field that stands where maps have entries whose names no field, and no map before, has in that row."""
        rows, parts, taken = np.arange(self.columns.rows), list[list[bytes]](), pa.array([], pa.string())
        nulls_sent = {name for name, child in node.fields if isinstance(child, Leaf) and child.keep_null}
        for leaf in node.spread:
            column = self.columns.column(leaf)
            (keys, items), groups = children(column)
            names, owners = plain(keys).cast(pa.string()), np.repeat(rows, np.diff(groups))
            keep = valid_rows(column)[owners] & (valid_rows(items) | leaf.keep_null)
            for name, value in fields:
                same = to_mask(pc.equal(names, name))
                if value.present is not None and name not in nulls_sent:
                    same &= value.present[owners]
                keep &= ~same
            pairs = pc.binary_join_element_wise(pa.array(owners).cast(pa.string()), names, "\x00")
            keep &= ~to_mask(pc.is_in(pairs, value_set=taken))
            taken = pa.concat_arrays([taken, pairs.filter(pa.array(keep))])
            parts.append(_entry_texts(names, leaf_values(leaf, items), owners, keep, self.columns.rows))
        joined = [b",".join(filter(None, texts)) for texts in zip(*parts, strict=True)]
        mark = _new_mark()
        self.entries[mark] = [text for text in joined if text]
        return mark, _flags(np.array([bool(text) for text in joined], np.bool_))


def _entry_texts(names: pa.Array, items: pa.Array, owners: np.ndarray, keep: Mask, rows: int) -> list[bytes]:
    """The entries of each row's map that are kept, as JSON without braces."""
    valid = keep & valid_rows(items)
    groups = np.searchsorted(owners[valid], np.arange(rows + 1)).astype(np.int32)
    entries = [array.filter(pa.array(valid)) for array in (names, items)]
    texts = [text[1:-1] if text else b"" for text in json_texts(pa.MapArray.from_arrays(pa.array(groups), *entries))]
    for entry in np.flatnonzero(keep & ~valid).tolist():  # nulls=send
        row = int(owners[entry])
        texts[row] = b",".join(filter(None, [texts[row], _field(names[entry].as_py(), None)]))
    return texts


def _new_mark() -> str:
    """A field's name that stands for something else; random, so that no text of a user's holds it."""
    return f"mark-{secrets.token_hex(16)}"


def _field(name: str, value: object) -> bytes:
    return json.dumps({name: value}, ensure_ascii=False, separators=(",", ":")).encode()[1:-1]


def _flags(rows: Mask) -> Value:
    """True in these rows, null in the others."""
    return Value(pa.array(np.ones(len(rows), np.bool_), mask=~rows), None if rows.all() else rows)


def _constant(value: object, rows: int) -> pa.Array:
    if isinstance(value, str):
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([value]))
    return pa.repeat(pa.scalar(value), rows)


def _empty(rows: int, *, present: bool) -> Value:
    array = pa.array([{} if present else None] * rows, pa.struct([]))
    return Value(array, None if present else np.zeros(rows, np.bool_))


def _struct(fields: Sequence[tuple[str, Value]], *, omit_empty: bool) -> Value:
    """An object; with `omit_empty` it is null where all its fields are."""
    names, arrays = [name for name, _ in fields], [value.array for _, value in fields]
    masks = [value.present for _, value in fields if value.present is not None]
    if not omit_empty or len(masks) < len(fields):
        return Value(pa.StructArray.from_arrays(arrays, names=names), None)
    present = np.logical_or.reduce(masks)
    return Value(pa.StructArray.from_arrays(arrays, names=names, mask=pa.array(~present)), present)


def _only(value: Value, rows: Mask) -> Value:
    """The value in these rows alone."""
    present = rows if value.present is None else rows & value.present
    array, missing = value.array, pa.array(~present)
    if not pa.types.is_struct(array.type):
        return Value(pc.if_else(pa.array(present), array, pa.scalar(None, array.type)), present)
    parts = [array.field(i) for i in range(array.type.num_fields)]
    return Value(pa.StructArray.from_arrays(parts, fields=list(array.type), mask=missing), present)


def _one_item(value: Value) -> Value:
    """A list that holds the value, null where there is none."""
    rows = len(value.array)
    present = np.ones(rows, np.bool_) if value.present is None else value.present
    items = grouped(present, pa.list_(value.array.type), np.arange(rows + 1), value.array)
    return Value(items, value.present)
