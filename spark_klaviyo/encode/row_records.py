"""Nodes of a record as functions of one row: each gives the value that orjson writes, or None where it is missing."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from spark_klaviyo.encode.row_values import Convert, Converters, Value, key_text
from spark_klaviyo.plan.shape import ONE_ITEM, Each, Fixed, Leaf, Node, Record, When
from spark_klaviyo.screen.patterns import word_pattern

RowValues: TypeAlias = Sequence[Value]  # one row's values, in the order of the columns
Make: TypeAlias = Callable[[RowValues], Value]


class Maker:
    """Makes the functions of one plan. `places` say where in a row the value of a source is."""

    def __init__(self, places: Mapping[tuple[str, ...], int], flags: Mapping[str, int]) -> None:
        self.bad: list[int] = []  # flags of the columns in which a row holds NaN; emptied by who reads it
        self._places = places
        self._flags = flags

    def place(self, leaf: Leaf) -> int:
        """Where a leaf's value stands in a row."""
        return self._places[leaf.source]

    def node(self, node: Node) -> Make:
        """The function of a node."""
        if isinstance(node, Leaf):
            return self.leaf(node)
        if isinstance(node, Fixed):
            value = node.value
            return lambda _: value
        if isinstance(node, Each):
            return self._each(node)
        if isinstance(node, When):
            return self._when(node)
        return self._record(node)

    def raw(self, leaf: Leaf) -> Make:
        """The value of a leaf as the row has it."""
        return operator.itemgetter(self.place(leaf))

    def leaf(self, leaf: Leaf) -> Make:
        """The function of one column."""
        get, convert = self.raw(leaf), self._convert(leaf)
        if convert is None:
            return get

        def make(row: RowValues) -> Value:
            value = get(row)
            return None if value is None else convert(value)

        return make

    def _convert(self, leaf: Leaf) -> Convert | None:
        return Converters(self.bad, self._flags.get(leaf.source[0], 0)).of_leaf(leaf)

    def _record(self, node: Record) -> Make:
        if [name for name, _ in node.fields] == [ONE_ITEM]:
            inner = self.node(node.fields[0][1])
            return lambda row: None if (item := inner(row)) is None else [item]
        parts = [self._field(name, child) for name, child in node.fields]
        spread = [(self.raw(leaf), self._convert(leaf), leaf.keep_null) for leaf in node.spread]
        omit = node.omit_empty

        def make(row: RowValues) -> Value:
            made: dict[str, Value] = {}
            for name, number, convert, kept in parts:
                value = row[number] if number >= 0 else row
                if value is not None and convert is not None:
                    value = convert(value)
                if value is not None or kept:
                    made[name] = value
            for get, convert, keep_null in spread:
                _join(made, get(row), convert, keep_null=keep_null)
            return made if made or not omit else None

        return make

    def _field(self, name: str, child: Node) -> tuple[str, int, Convert | None, bool]:
        """Name, place in the row and converter; the place is -1 where the function takes the whole row."""
        kept = (isinstance(child, Leaf) and child.keep_null) or (isinstance(child, Fixed) and child.value is None)
        if isinstance(child, Leaf):
            return name, self.place(child), self._convert(child), kept
        return name, -1, self.node(child), kept

    def _each(self, node: Each) -> Make:
        get, prefix, kind = self.raw(node.leaf), node.leaf.prefix, node.kind

        def make(row: RowValues) -> Value:
            value = get(row)
            if value is None:
                return None
            items = value if isinstance(value, list | tuple) else [value]
            return [{"type": kind, "id": prefix + str(item).removeprefix(prefix)} for item in items if item is not None]

        return make

    def _when(self, node: When) -> Make:
        get, then = self.raw(node.leaf), self.node(node.then)
        pattern = re.compile(word_pattern(node.word))

        def make(row: RowValues) -> Value:
            held = get(row)
            texts = [held] if isinstance(held, str) else held or ()
            return then(row) if any(pattern.search(str(one)) for one in texts) else None  # type: ignore[attr-defined]

        return make


def _join(made: dict[str, Value], entries: Value, convert: Convert | None, *, keep_null: bool) -> None:
    """The entries of a map join the fields: not null, and not named like a field that is present."""
    if entries is None:
        return
    found = entries if convert is None else convert(entries)
    for key, value in found.items():  # type: ignore[attr-defined]
        if value is not None or keep_null:
            made.setdefault(key_text(key), value)
