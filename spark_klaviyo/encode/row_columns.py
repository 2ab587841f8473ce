"""Rows as plain tuples in one order, the fields of their structs that a plan names among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from spark_klaviyo.encode.row_values import Value
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.shape import Leaf, Node, When
from spark_klaviyo.plan.types import Type
from spark_klaviyo.screen.rules import leaves_of

Row: TypeAlias = "tuple[Value, ...] | Mapping[str, Value]"
Source: TypeAlias = tuple[str, ...]


class RowColumns:
    """Where in a row's tuple each value stands: `places` by source, and `flags` of the columns by name."""

    def __init__(self, plan: WritePlan) -> None:
        leaves = list(_leaves(plan))
        sources = [leaf.source for leaf in leaves] + ([(plan.record_column,)] if plan.record_column else [])
        self.names = [column.name for column in plan.columns] or list(dict.fromkeys(s[0] for s in sources))
        numbers = {name: number for number, name in reversed(list(enumerate(self.names)))}
        self.flags: dict[str, int] = {name: 2 + number for name, number in numbers.items()}
        self.places: dict[Source, int] = {(name,): number for name, number in numbers.items()}
        self._types: dict[Source, Type] = {(column.name,): column.type for column in reversed(plan.columns)}
        self._widened: list[tuple[int, list[str]]] = []  # a struct's place and the names of its fields
        self._width = len(self.names)
        for length in range(1, max(map(len, sources), default=1)):
            for parent in dict.fromkeys(source[:length] for source in sources if len(source) > length):
                self._widen(parent, [source[length] for source in sources if source[:length] == parent != source])

    def _widen(self, parent: Source, wanted: list[str]) -> None:
        """Have the fields of a struct follow the row: all of them where they are known, else those that are named."""
        fields = self._types.get(parent, Type("unknown")).fields
        self._types.update({(*parent, field.name): field.type for field in fields})
        names = [field.name for field in fields] or list(dict.fromkeys(wanted))
        self._widened.append((self.places[parent], names))
        for number, name in reversed(list(enumerate(names, self._width))):
            self.places[(*parent, name)] = number
        self._width += len(names)

    def values(self, rows: Iterable[Row]) -> Iterator[tuple[Value, ...]]:
        """Each row's values."""
        known: object = None
        order: list[int | None] | None = None
        for row in rows:
            fields = getattr(row, "__fields__", None)
            if isinstance(row, Mapping):
                plain = tuple(map(row.get, self.names))
            else:
                if fields is not known:
                    known, order = fields, _order(fields, self.names)
                plain = tuple(row)  # pyspark's Row looks an item up in Python, a tuple does not
                if order is not None:
                    plain = tuple([None if place is None else plain[place] for place in order])
            for place, names in self._widened:
                plain += _fields_of(plain[place], names)
            yield plain


def _leaves(plan: WritePlan) -> Iterator[Leaf]:
    if plan.record is not None:
        yield from leaves_of(plan.record)
        yield from _words(plan.record)
    yield from (aside.leaf for aside in plan.params)
    yield from (wanted.leaf for wanted in plan.checks.fields if wanted.leaf is not None)


def _words(node: Node) -> Iterator[Leaf]:
    if isinstance(node, When):
        yield node.leaf
        yield from _words(node.then)
    for _, child in getattr(node, "fields", ()):
        yield from _words(child)


def _order(fields: list[str] | None, names: list[str]) -> list[int | None] | None:
    """Where each column stands in a row; None: the row is in order."""
    if fields is None or list(fields) == names:
        return None
    return [fields.index(name) if name in fields else None for name in names]


def _fields_of(value: Value, names: list[str]) -> tuple[Value, ...]:
    """The fields of a struct value: a Row, or a dict."""
    if value is None:
        return (None,) * len(names)
    if isinstance(value, tuple):
        fields = getattr(value, "__fields__", names)
        plain = tuple(value)
        if fields == names:
            return plain
        return tuple([plain[fields.index(name)] if name in fields else None for name in names])
    return tuple(map(value.get, names)) if isinstance(value, Mapping) else (None,) * len(names)
