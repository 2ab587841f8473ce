"""Arrow batches and a plan in, encoded batches out: the one encoder of every way to write.

An encoded batch has the columns of `arrow.encoded`. Batches may be slices or empty and hold dictionaries or large
types. No Python object is made per row: records become one struct array, nested as the plan's record, an element a row,
whose columns are not copied. Two things that a struct array cannot hold stand in it as a mark and are put in place in
the finished text: nulls that are to be sent, and the entries of a map that joins the fields of an object.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from io import BytesIO
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow import arrays
from spark_klaviyo.arrow.arrays import Mask, children, from_numpy, is_list, list_array, to_mask, valid_rows
from spark_klaviyo.arrow.columns import Columns
from spark_klaviyo.arrow.encoded import ENCODED
from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.core.exact_json import ONE_ITEM, json_text
from spark_klaviyo.encode import json_values
from spark_klaviyo.encode.json_values import json_objects, with_json
from spark_klaviyo.encode.keys import external_ids, keys, phones
from spark_klaviyo.encode.rows import to_arrow
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import Each, Fixed, Leaf, Node, Record, When
from spark_klaviyo.plan.types import Type
from spark_klaviyo.screen.evaluate import ScreenRules, verdicts
from spark_klaviyo.screen.rules import word_pattern

NamedArray: TypeAlias = tuple[str, pa.Array]
VALUE_NAMES = arrays.from_texts(["value", "$value"])  # of what an event is worth
MAX_VALUES, MAX_ROWS = 400_000, 10_000  # encoded at once: a worker's memory stays flat however large the batches are


def encode_batches(batches: Iterable[pa.RecordBatch], plan: WritePlan) -> Iterator[pa.RecordBatch]:
    """The encoded rows of all batches, in order, at most 10,000 rows and 400,000 values at a time."""
    rules = ScreenRules(plan)
    for batch in batches:
        rows = min(max(MAX_VALUES // max(batch.num_columns, 1), 1), MAX_ROWS)
        for start in range(0, batch.num_rows, rows):
            yield encode(batch.slice(start, rows), plan, rules)
        if batch.num_rows > MAX_ROWS:
            # Such a batch is large already, and what the allocator keeps would come on top of it.
            pa.default_memory_pool().release_unused()
        del batch  # before the next one is read


def encode(batch: pa.RecordBatch, plan: WritePlan, rules: ScreenRules | None = None) -> pa.RecordBatch:
    """The encoded rows of one batch, in order. `rules` are the plan's, compiled once for many batches."""
    rules = rules or ScreenRules(plan)
    batch = json_values.without_offsets(json_values.without_dictionaries(batch))
    zone = plan.checks.time_zone
    columns = Columns(batch, plan.columns, zone)
    try:
        record, params = _records(columns, plan), _params(columns, plan)
        record.validate(full=True)
        params.validate(full=True)
    except (UnicodeDecodeError, pa.ArrowInvalid):  # one text that is no UTF-8 would make a whole request unreadable
        columns = Columns(json_values.with_valid_text(batch), plan.columns, zone)
        record, params = _records(columns, plan), _params(columns, plan)
    held = [record, verdicts(columns, rules, record), keys(columns, plan, record), params]
    held += [phones(columns, plan), external_ids(columns, plan, record)]
    return pa.RecordBatch.from_arrays(held, schema=ENCODED)


def _records(columns: Columns, plan: WritePlan) -> pa.Array:
    separator = ord(",") if plan.content_format is ContentFormat.JSON else json_values.LINE_FEED
    if plan.record is not None:
        encoder = RecordEncoder(columns, plan.json_mark or _new_mark(), bool(plan.json_mark))
        return json_values.rows_of(encoder.lines(plan.record), separator)
    kind = next(column.type for column in plan.columns if column.name == plan.record_column)
    given = columns.column(Leaf((plan.record_column or "",), kind)).cast(pa.large_string())
    nothing = pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(given.fill_null(""), nothing, pa.scalar(chr(separator), pa.large_string()))


def _params(columns: Columns, plan: WritePlan) -> pa.Array:
    """`{name: text of the value}` of each row: a text as it is, any other value as its JSON."""
    if not plan.params:
        return pa.nulls(columns.rows, pa.string())
    texts = [_as_text(json_values.leaf_values(param.leaf, columns.column(param.leaf))) for param in plan.params]
    rows = pa.StructArray.from_arrays(texts, names=[param.name for param in plan.params])
    return json_values.rows_of(json_values.json_lines(rows), json_values.LINE_FEED).cast(pa.string())


def _as_text(values: pa.Array) -> pa.Array:
    if pa.types.is_nested(values.type) or pa.types.is_floating(values.type):
        return pa.array([text and text.decode() for text in json_values.json_texts(values)], pa.string())
    return values.cast(pa.string())


# --- records --------------------------------------------------------------------------------------


@dataclass
class RecordEncoder:
    """The records of one batch.

    `marks` are pieces of the text that the writer makes, and what they become in the finished one. Texts behind
    `json_mark` are JSON, where there are any (`has_json`).
    """

    columns: Columns
    json_mark: str
    has_json: bool
    marks: dict[bytes, bytes] = field(default_factory=dict)

    def lines(self, record: Record) -> BytesIO:
        """Each row's record as JSON and a line feed."""
        lines = json_values.json_lines(self.array(record))
        if not (self.marks or self.has_json):
            return lines
        text = lines.getvalue()
        for mark, meant in self.marks.items():
            text = text.replace(mark, meant)
        return BytesIO(with_json(text, self.json_mark) if self.has_json else text)

    def array(self, node: Node) -> pa.Array:
        """The values of a node; null where there is none."""
        if isinstance(node, Leaf):
            return json_values.leaf_values(node, self.columns.column(node))
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
            held = fields[0][1]  # a list that holds the value, null where there is none
            return list_array(valid_rows(held), np.arange(len(held) + 1), held)
        if node.spread:
            fields += list(self._map_entries(node, fields))
        return _struct(fields, self.columns.rows, omit_empty=node.omit_empty)

    # --- lists of resource identifiers, conditions ------------------------------------------------

    def _resource_ids(self, node: Each) -> pa.Array:
        column = self.columns.column(node.leaf)
        column = arrays.without_blanks(column) if node.leaf.omit_blank else column
        items, groups = self._items(column)
        ids = json_values.prefixed(items, node.leaf.prefix)
        some = valid_rows(ids)
        groups = np.concatenate([np.zeros(1, np.int64), np.cumsum(some)])[groups]
        ids = ids.filter(from_numpy(some))
        entries = pa.StructArray.from_arrays([_constant(node.kind, len(ids)), ids], names=["type", "id"])
        return list_array(valid_rows(column), groups, entries)

    def _holds(self, node: When) -> Mask:
        """In which rows the column of a condition holds its word."""
        column = self.columns.column(node.leaf)
        items, groups = self._items(column)
        same = to_mask(pc.match_substring_regex(items.cast(pa.string()), word_pattern(node.word)))
        return arrays.any_in_group(same, groups) & valid_rows(column)

    def _items(self, column: pa.Array) -> tuple[pa.Array, arrays.Ints]:
        """The items of a column of arrays, or the values of any other; and where each row's begin."""
        if not is_list(column.type):
            return column, np.arange(self.columns.rows + 1)
        (items,), groups = children(column)
        return items, groups

    # --- what a struct array cannot hold ----------------------------------------------------------

    def _fields(self, name: str, child: Node) -> Iterator[NamedArray]:
        """A field, and where it has to be null or a constant object, a mark in its place."""
        if isinstance(child, Fixed) and (child.value is None or isinstance(child.value, dict | list)):
            yield self._marked(_field(name, child.value), np.ones(self.columns.rows, np.bool_))
            return
        array = self.array(child)
        yield name, array
        if isinstance(child, Leaf) and child.keep_null and array.null_count:
            yield self._marked(_field(name, None), ~valid_rows(self.columns.column(child)))

    def _marked(self, text: bytes, rows: Mask) -> NamedArray:
        mark = _new_mark()
        self.marks[_field(mark, True)] = text
        return mark, _flags(rows)

    def _map_entries(self, node: Record, fields: Sequence[NamedArray]) -> Iterator[NamedArray]:
        """The entries of maps that join the fields: those whose name no field and no earlier map of a row has."""
        rows, taken = np.arange(self.columns.rows), arrays.from_texts([])
        nulls_sent = {name for name, child in node.fields if isinstance(child, Leaf) and child.keep_null}
        for leaf in node.spread:
            column = self.columns.column(leaf)
            if not pa.types.is_map(column.type):
                column = self._entries_of_objects(leaf, column)
            (keys, items), groups = children(column)
            names, owners = keys.cast(pa.string()), np.repeat(rows, np.diff(groups))
            self.columns.value_inside[owners[to_mask(pc.is_in(names, value_set=VALUE_NAMES))]] = True
            keep = valid_rows(column)[owners] & (valid_rows(items) | leaf.keep_null)
            for name, array in fields:
                same = to_mask(pc.equal(names, name))
                if array.null_count and name not in nulls_sent:
                    same &= valid_rows(array)[owners]
                keep &= ~same
            pairs = pc.binary_join_element_wise(from_numpy(owners).cast(pa.string()), names, "\x00")
            keep &= ~to_mask(pc.is_in(pairs, value_set=taken))
            taken = pa.concat_arrays([taken, pairs.filter(from_numpy(keep))])
            values = json_values.leaf_values(leaf, items)
            valid = valid_rows(values)
            yield from self._joining(owners, names, values, keep & valid)
            if leaf.keep_null and (keep & ~valid).any():
                mark = _new_mark()
                self.marks[f'"{mark}"'.encode()] = b"null"
                yield from self._joining(owners, names, _constant(mark, len(names)), keep & ~valid)

    def _joining(self, owners: arrays.Ints, names: pa.Array, values: pa.Array, keep: Mask) -> Iterator[NamedArray]:
        """A map of the entries that are kept, and a mark behind it; what opens and closes it goes in the end."""
        mark, end, kept = _new_mark(), _new_mark(), from_numpy(keep)
        groups = np.searchsorted(owners[keep], np.arange(self.columns.rows + 1))
        some: Mask = np.diff(groups) > 0
        self.marks |= {f'"{mark}":{{'.encode(): b"", b"}," + _field(end, True): b""}
        yield mark, arrays.map_array(some, groups, names.filter(kept), values.filter(kept))
        yield end, _flags(some)

    def _entries_of_objects(self, leaf: Leaf, texts: pa.Array) -> pa.Array:
        """JSON text as a map whose values are JSON behind the mark."""
        self.has_json = True
        objects, wrong, secret = json_objects(texts, self.json_mark, keep_null=leaf.keep_null)
        if wrong.any():
            self.columns.no_objects[leaf.source[0]] = wrong
        self.columns.secrets |= secret
        entries = [
            {name: None if value is None else self.json_mark + json_text(value) for name, value in (held or {}).items()}
            for held in objects
        ]
        return to_arrow(entries, Type("map", key=Type("string"), value=Type("string")))


def _new_mark() -> str:
    """A field's name that stands for something else; random, so that no text of a user's holds it."""
    return f"mark-{secrets.token_hex(16)}"


def _field(name: str, value: object) -> bytes:
    return json.dumps({name: value}, ensure_ascii=False, separators=(",", ":")).encode()[1:-1]


def _flags(rows: Mask) -> pa.Array:
    """True in these rows, null in the others."""
    return from_numpy(np.ones(len(rows), np.bool_), rows)


def _constant(value: object, rows: int) -> pa.Array:
    return pa.repeat(arrays.text_scalar(value) if isinstance(value, str) else pa.scalar(value), rows)


def _struct(fields: Sequence[NamedArray], rows: int, *, omit_empty: bool) -> pa.Array:
    """An object; with `omit_empty` it is null where all its fields are."""
    if not fields:
        return pa.array([None if omit_empty else {}] * rows, pa.struct([]))
    names, parts = zip(*fields, strict=True)
    if not omit_empty or not all(array.null_count for array in parts):
        return pa.StructArray.from_arrays(parts, names=names)
    empty = ~reduce(np.logical_or, map(valid_rows, parts))
    return pa.StructArray.from_arrays(parts, names=names, mask=from_numpy(empty))


def _only(array: pa.Array, rows: Mask) -> pa.Array:
    """The values in these rows alone."""
    if not pa.types.is_struct(array.type):
        return pc.if_else(from_numpy(rows), array, arrays.null_scalar(array.type))
    parts = [array.field(i) for i in range(array.type.num_fields)]
    missing = from_numpy(~(rows & valid_rows(array)))
    return pa.StructArray.from_arrays(parts, fields=list(array.type), mask=missing)
