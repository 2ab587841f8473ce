"""A plan's record and the columns of one batch in, one struct array out: nested as the record, an element a row.

Columns are not copied. Two things that a struct array cannot hold stand in it as a mark and are put in place in the
finished text: nulls that are to be sent, and the entries of a map that joins the fields of an object.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Mask, any_in_group, children, grouped, is_list, plain, to_mask, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.core.json_paths import ONE_ITEM
from spark_klaviyo.encode.json_rows import json_lines, json_texts, replaced, spliced
from spark_klaviyo.encode.json_values import leaf_values, prefixed
from spark_klaviyo.plan.shape import Each, Fixed, Leaf, Node, Record, When
from spark_klaviyo.screen.patterns import word_pattern


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
        lines = json_lines(self.array(record))
        for mark, text in self.fields.items():
            lines = replaced(lines, _field(mark, True), text)
        for mark, texts in self.entries.items():
            lines = spliced(lines, _field(mark, True), texts)
        return lines

    def array(self, node: Node) -> pa.Array:
        """The values of a node; null where there is none."""
        if isinstance(node, Leaf):
            return leaf_values(node, self.columns.column(node))
        if isinstance(node, Fixed):
            return _constant(node.value, self.columns.rows)
        if isinstance(node, Each):
            return self._resource_ids(node)
        if isinstance(node, When):
            return _only(self.array(node.then), self._holds(node))
        return self._record(node)

    def _record(self, node: Record) -> pa.Array:
        fields = [field for name, child in node.fields for field in self._fields(name, child)]
        if [name for name, _ in fields] == [ONE_ITEM]:
            return _one_item(fields[0][1])
        if node.spread:
            fields.append(self._map_entries(node, fields))
        return _struct(fields, self.columns.rows, omit_empty=node.omit_empty)

    # --- lists of resource identifiers, conditions ------------------------------------------------

    def _resource_ids(self, node: Each) -> pa.Array:
        column = plain(self.columns.column(node.leaf))
        items, groups = column, np.arange(self.columns.rows + 1)
        if is_list(column.type):
            (items,), groups = children(column)
        ids = prefixed(items, node.leaf.prefix)
        some = valid_rows(ids)
        groups = np.concatenate([np.zeros(1, np.int64), np.cumsum(some)])[groups]
        ids = ids.filter(pa.array(some))
        entries = pa.StructArray.from_arrays([_constant(node.kind, len(ids)), ids], names=["type", "id"])
        return grouped(valid_rows(column), pa.list_(entries.type), groups, entries)

    def _holds(self, node: When) -> Mask:
        """In which rows the column of a condition holds its word."""
        column = plain(self.columns.column(node.leaf))
        items, groups = column, None
        if is_list(column.type):
            (items,), groups = children(column)
        same = to_mask(pc.match_substring_regex(plain(items).cast(pa.string()), word_pattern(node.word)))
        return same if groups is None else any_in_group(same, groups) & valid_rows(column)

    # --- what a struct array cannot hold ----------------------------------------------------------

    def _fields(self, name: str, child: Node) -> Iterator[tuple[str, pa.Array]]:
        """A field, and where it has to be null or a constant object, a mark in its place."""
        if isinstance(child, Fixed) and (child.value is None or isinstance(child.value, dict | list)):
            yield self._marked(_field(name, child.value), np.ones(self.columns.rows, np.bool_))
            return
        array = self.array(child)
        yield name, array
        if isinstance(child, Leaf) and child.keep_null and array.null_count:
            yield self._marked(_field(name, None), ~valid_rows(array))

    def _marked(self, text: bytes, rows: Mask) -> tuple[str, pa.Array]:
        mark = _new_mark()
        self.fields[mark] = text
        return mark, _flags(rows)

    def _map_entries(self, node: Record, fields: Sequence[tuple[str, pa.Array]]) -> tuple[str, pa.Array]:
        """A field that stands where maps have entries whose names no field, and no map before, has in that row."""
        rows, parts, taken = np.arange(self.columns.rows), list[list[bytes]](), pa.array([], pa.string())
        nulls_sent = {name for name, child in node.fields if isinstance(child, Leaf) and child.keep_null}
        for leaf in node.spread:
            column = self.columns.column(leaf)
            (keys, items), groups = children(column)
            names, owners = plain(keys).cast(pa.string()), np.repeat(rows, np.diff(groups))
            keep = valid_rows(column)[owners] & (valid_rows(items) | leaf.keep_null)
            for name, array in fields:
                same = to_mask(pc.equal(names, name))
                if array.null_count and name not in nulls_sent:
                    same &= valid_rows(array)[owners]
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


def _flags(rows: Mask) -> pa.Array:
    """True in these rows, null in the others."""
    return pa.array(np.ones(len(rows), np.bool_), mask=~rows)


def _constant(value: object, rows: int) -> pa.Array:
    if isinstance(value, str):
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([value]))
    return pa.repeat(pa.scalar(value), rows)


def _struct(fields: Sequence[tuple[str, pa.Array]], rows: int, *, omit_empty: bool) -> pa.Array:
    """An object; with `omit_empty` it is null where all its fields are."""
    if not fields:
        return pa.array([None if omit_empty else {}] * rows, pa.struct([]))
    names, arrays = zip(*fields, strict=True)
    if not omit_empty or not all(array.null_count for array in arrays):
        return pa.StructArray.from_arrays(arrays, names=names)
    empty = ~reduce(np.logical_or, map(valid_rows, arrays))
    return pa.StructArray.from_arrays(arrays, names=names, mask=pa.array(empty))


def _only(array: pa.Array, rows: Mask) -> pa.Array:
    """The values in these rows alone."""
    if not pa.types.is_struct(array.type):
        return pc.if_else(pa.array(rows), array, pa.scalar(None, array.type))
    parts = [array.field(i) for i in range(array.type.num_fields)]
    missing = pa.array(~(rows & valid_rows(array)))
    return pa.StructArray.from_arrays(parts, fields=list(array.type), mask=missing)


def _one_item(array: pa.Array) -> pa.Array:
    """A list that holds the value, null where there is none."""
    return grouped(valid_rows(array), pa.list_(array.type), np.arange(len(array) + 1), array)
