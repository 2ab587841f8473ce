"""The shape of a record: a small tree that every encoder walks, whichever door the rows come through.

A node says where a value of the record comes from. Encoders turn (node, row) into JSON by the same rules:

* a field whose value is missing is left out (`omit`), or written as null for a `Leaf` with `keep_null`;
* a `Record` with `omit_empty` and no field left is left out itself;
* inside a column's own struct null fields are left out at every depth; nulls in arrays and maps stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.plan.types import Type


class LeafForm(Enum):
    """How a column is written."""

    JSON = "json"  # by the type table (`plan.types`)
    TEXT = "text"  # whole numbers become text
    DATETIME = "datetime"  # RFC 3339; a date is midnight, timestamp_ntz is UTC


@dataclass(frozen=True)
class Leaf:
    """One column of the DataFrame, or a field inside a struct column.

    `source` is the path to it: ("email",) or ("location", "city"). `form` is how it is written: `json` (by the type
    table), `text` (whole numbers become text), `datetime` (RFC 3339; a date is midnight, timestamp_ntz is UTC).
    `prefix` goes before a text value that does not begin with it ("$custom:::$default:::"). `keep_null`
    writes null instead of leaving it out.
    """

    source: tuple[str, ...]
    type: Type
    form: LeafForm = LeafForm.JSON
    prefix: str = ""
    keep_null: bool = False


@dataclass(frozen=True)
class Fixed:
    """The same value in every record."""

    value: Json


@dataclass(frozen=True)
class Record:
    """A JSON object, or an array of exactly one item where its only field is called `ONE_ITEM`.

    `spread` are map columns whose entries join the fields (a field of the same name wins).
    """

    fields: tuple[tuple[str, Node], ...]
    omit_empty: bool = False
    spread: tuple[Leaf, ...] = ()


@dataclass(frozen=True)
class Each:
    """A column as a list of resource identifiers: `[{"type": kind, "id": prefix + element}, ...]`; a text is one."""

    leaf: Leaf
    kind: str


@dataclass(frozen=True)
class When:
    """`then`, in rows whose column holds the word `word` in any case (parted by commas or blanks, or in an array).

    A `Record` field whose `When` does not hold is left out.
    """

    leaf: Leaf
    word: str
    then: Node


Node: TypeAlias = "Leaf | Fixed | Record | Each | When"


def leaves_of(node: Node) -> Iterator[Leaf]:
    """Every column that a node writes, in order."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Each):
        yield node.leaf
    elif isinstance(node, When):
        yield from leaves_of(node.then)
    elif isinstance(node, Record):
        for _, child in node.fields:
            yield from leaves_of(child)
        yield from node.spread


def column_names(node: Node) -> set[str]:
    """The names of all columns that a node reads."""
    if isinstance(node, When):
        return {node.leaf.source[0]} | column_names(node.then)
    if isinstance(node, Record):
        return {leaf.source[0] for leaf in node.spread}.union(*(column_names(child) for _, child in node.fields))
    return {leaf.source[0] for leaf in leaves_of(node)}


def node_at(record: Record, at: Iterable[str]) -> Node | None:
    """What stands at a place of the record."""
    node: Node | None = record
    for part in at:
        inner = node.then if isinstance(node, When) else node
        node = dict(inner.fields).get(part) if isinstance(inner, Record) else None
    return node


def leaf_at(record: Record, at: Iterable[str]) -> Leaf | None:
    """The column at a place of the record, if it is one."""
    node = node_at(record, at)
    return node if isinstance(node, Leaf) else None
