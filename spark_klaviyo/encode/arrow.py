"""Arrow batches and a plan in, encoded rows out: JSON made column by column, with no Python object per row.

What comes out are the columns of every encoder: `record` (JSON and the separator), `flag`, `key`, and `aside` where the
plan has any. Batches may be slices, empty, and hold dictionaries or large types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.encode import arrow_texts as texts
from spark_klaviyo.encode.arrow_flags import ArrowFlags
from spark_klaviyo.encode.arrow_texts import Body
from spark_klaviyo.encode.buffers import Mask, any_in_group, closed, escaped, grouped, masked, valid_rows
from spark_klaviyo.encode.columns import Columns
from spark_klaviyo.encode.joined import STRING, Part, join
from spark_klaviyo.plan.manual.formats import separator
from spark_klaviyo.plan.model import RequestParam, WritePlan
from spark_klaviyo.plan.shape import ONE_ITEM, Each, Fixed, Leaf, Node, Record, When
from spark_klaviyo.screen.patterns import word_pattern
from spark_klaviyo.screen.rules import ScreenRules, compile_screen

MOST_VALUES, MOST_ROWS = 400_000, 10_000  # encoded at a time
MAX_ROWS = 65_536  # encoded at once: memory stays flat however many rows a batch has


def encoded(batches: Iterable[pa.RecordBatch], plan: WritePlan) -> Iterator[pa.RecordBatch]:
    """The encoded rows of all batches, in order; many columns go in pieces, so that a worker's memory stays flat.

    So do batches of more rows than Spark makes unless told to (`spark.sql.execution.arrow.maxRecordsPerBatch`).
    """
    rules = compile_screen(plan)
    for batch in batches:
        rows = min(max(MOST_VALUES // max(batch.num_columns, 1), 1), MOST_ROWS)
        for start in range(0, batch.num_rows, rows):
            yield encode(batch.slice(start, rows), plan, rules)
            if (
                batch.num_rows > MOST_ROWS
            ):  # such a batch is large by itself; what the allocator keeps would come on top
                pa.default_memory_pool().release_unused()
        del batch  # before the next one is read


def encode(batch: pa.RecordBatch, plan: WritePlan, rules: ScreenRules | None = None) -> pa.RecordBatch:
    """The encoded rows of a batch, in order. `looks` are the plan's, made once for many batches."""
    rules = rules or compile_screen(plan)
    slices = [batch.slice(start, MAX_ROWS) for start in range(0, batch.num_rows, MAX_ROWS)] or [batch]
    encoded = [done for part in slices for done in _fitting(part, plan, rules)]
    if len(encoded) == 1:
        return encoded[0]
    arrays = [pa.concat_arrays([_wide(part.column(i)) for part in encoded]) for i in range(encoded[0].num_columns)]
    return pa.RecordBatch.from_arrays(arrays, names=encoded[0].schema.names)


def _wide(column: pa.Array) -> pa.Array:
    return column.cast(pa.large_string()) if pa.types.is_string(column.type) else column


def _fitting(batch: pa.RecordBatch, plan: WritePlan, rules: ScreenRules) -> Iterator[pa.RecordBatch]:
    """The encoded rows in as few batches as their texts fit in."""
    try:
        yield _encode(batch, plan, rules)
    except pa.ArrowCapacityError:
        if batch.num_rows < 2:
            raise
        half = batch.num_rows // 2
        yield from _fitting(batch.slice(0, half), plan, rules)
        yield from _fitting(batch.slice(half), plan, rules)


def _encode(batch: pa.RecordBatch, plan: WritePlan, rules: ScreenRules) -> pa.RecordBatch:
    columns = Columns(batch, plan.columns)
    record = _Records(columns).record(plan)
    flags = ArrowFlags(columns, rules)
    arrays = {"record": record, "flag": flags.flag(record), "key": flags.key()}
    if plan.params:
        arrays["aside"] = _asides(columns, plan.params)
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _asides(columns: Columns, params: tuple[RequestParam, ...]) -> pa.Array:
    """`{name: text of the value}` of each row."""
    records, rows = _Records(columns), columns.rows
    bodies = [(aside.name, records.leaf(replace(aside.leaf, keep_null=False))) for aside in params]
    fields = [(name, _as_text(body, rows)) for name, body in bodies if not texts.is_nowhere(body)]
    return texts.object_of(fields, rows).text(rows)


def _as_text(body: Body, rows: int) -> Body:
    """A value as a JSON string: its own text, or that of its JSON."""
    start = body.parts[0]
    if isinstance(start, str) and start.startswith('"'):
        return body
    return Body(('"', escaped(body.text(rows)), '"'), body.there)


class _Records:
    """Nodes of a record as bodies over one batch."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.rows = columns.rows

    def record(self, plan: WritePlan) -> pa.Array:
        """Each row's JSON and the separator."""
        after = separator(plan.content_format).decode()
        if plan.record is None:
            kind = next(column.type for column in plan.columns if column.name == plan.record_column)
            given = texts.plain(self.columns.column(Leaf((plan.record_column or "",), kind)))
            return join((texts.readable(given.cast(STRING)), after), self.rows)
        return self.node(plan.record).text(self.rows, "", after)

    def node(self, node: Node) -> Body:
        """The JSON of a node."""
        if isinstance(node, Leaf):
            return self.leaf(node)
        if isinstance(node, Fixed):
            return Body((texts.dumps(node.value),))
        if isinstance(node, Each):
            return self._each(node)
        if isinstance(node, When):
            return self.node(node.then).only(self._holds(node))
        return self._record(node)

    def _record(self, node: Record) -> Body:
        fields = [(name, self.node(child)) for name, child in node.fields]
        if [name for name, _ in fields] == [ONE_ITEM]:
            body = fields[0][1]
            return Body(("[", *body.parts, "]"), body.there)
        there = [(name, body) for name, body in fields if not texts.is_nowhere(body)]
        more = [self._spread(leaf, node, place) for place, leaf in enumerate(node.spread)]
        return texts.object_of(there, self.rows, omit_empty=node.omit_empty, more=more)

    def leaf(self, leaf: Leaf) -> Body:
        """The JSON of one column."""
        column = texts.plain(self.columns.column(leaf))
        body = self._formed(leaf, column)
        return body.or_null() if leaf.keep_null else body

    def _formed(self, leaf: Leaf, column: pa.Array) -> Body:
        kind, some = column.type, valid_rows(column)
        whole = texts.is_whole(kind)
        if (leaf.prefix and (whole or pa.types.is_string(kind))) or (leaf.form == "text" and whole):
            bare = texts.text_of(texts.without(column, leaf.prefix))
            return Body(('"' + texts.quote(leaf.prefix)[1:-1], bare, '"'), some)
        if leaf.form == "datetime" and pa.types.is_timestamp(kind):
            return Body(('"', texts.moments(column, "Z"), '"'), some)
        if leaf.form == "datetime" and pa.types.is_date(kind):
            return Body(('"', texts.text_of(column), 'T00:00:00.000000Z"'), some)
        return texts.body_of(column)

    # --- the rarer nodes ------------------------------------------------------------------------

    def _each(self, node: Each) -> Body:
        column = texts.plain(self.columns.column(node.leaf))
        listed = texts.is_list(column.type)
        items, groups = texts.children(column) if listed else (column, np.arange(self.rows + 1))
        start = f'{{"type":{texts.quote(node.kind)},"id":"{texts.quote(node.leaf.prefix)[1:-1]}'
        bare = texts.text_of(texts.without(texts.plain(items), node.leaf.prefix))
        text = Body((start, bare, '"},'), valid_rows(bare)).text(len(items))
        return Body(("[", closed(text, "]", groups)), valid_rows(column))

    def _holds(self, node: When) -> Mask:
        column = texts.plain(self.columns.column(node.leaf))
        if texts.is_list(column.type):
            items, groups = texts.children(column)
            same = pc.match_substring_regex(texts.plain(items).cast(STRING), word_pattern(node.word))
            same = pc.fill_null(same, False)
            found = any_in_group(same.to_numpy(zero_copy_only=False), groups)
            valid = valid_rows(column)
            return found if valid is None else found & valid
        pattern = word_pattern(node.word)
        held = pc.fill_null(pc.match_substring_regex(column.cast(STRING), pattern), False)
        mask: Mask = held.to_numpy(zero_copy_only=False)
        return mask

    def _spread(self, leaf: Leaf, node: Record, place: int) -> Part:
        """The entries of a map that join a record's fields: not null, and not named like a field that is present."""
        column = self.columns.column(leaf)
        keys, groups = texts.children(column, lambda column: column.keys)
        items, _ = texts.children(column, lambda column: column.items)
        keep = np.ones(len(keys), np.bool_) if leaf.keep_null else _mask(items.is_valid())
        names = texts.plain(keys).cast(STRING)
        owner = np.repeat(np.arange(self.rows), np.diff(groups))
        for name, child in node.fields:
            same = _mask(pc.equal(names, name))
            if same.any():
                keep &= ~(same & self._there(child)[owner])
        for earlier in node.spread[:place]:
            keep &= ~self._taken(earlier, names, owner)
        entries, groups = texts.map_entries(column, keep)
        valid = valid_rows(column)
        text = grouped(entries, groups)
        return text if valid is None else masked(text, valid)

    def _there(self, child: Node) -> Mask:
        body = self.node(child)
        return np.ones(self.rows, np.bool_) if body.there is None else body.there

    def _taken(self, earlier: Leaf, names: pa.Array, owner: np.ndarray) -> Mask:
        """Which entries an earlier map of the same row names, too."""
        column = self.columns.column(earlier)
        keys, groups = texts.children(column, lambda column: column.keys)
        items, _ = texts.children(column, lambda column: column.items)
        owners = np.repeat(np.arange(self.rows), np.diff(groups))
        there = items.is_valid() if not earlier.keep_null else None
        if there is not None:
            keys, owners = keys.filter(there), owners[_mask(there)]
        both = [
            pc.binary_join_element_wise(pa.array(rows).cast(STRING), words, "\x00")
            for rows, words in ((owner, names), (owners, texts.plain(keys).cast(STRING)))
        ]
        return _mask(pc.is_in(both[0], value_set=both[1]))


def _mask(column: pa.Array) -> Mask:
    mask: Mask = column.to_numpy(zero_copy_only=False)
    return mask
