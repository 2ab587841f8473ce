"""The shape of a record: a small tree that the encoder walks; which node a column becomes, and how a tree is built.

A node says where a value of the record comes from. The encoder turns (node, row) into JSON by the same rules:

* a field whose value is missing is left out (`omit`), or written as null for a `Leaf` with `keep_null`;
* a `Record` with `omit_empty` and no field left is left out itself;
* inside a column's own struct null fields are left out at every depth; nulls in arrays and maps stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

from spark_klaviyo.core.exact_json import ONE_ITEM, Json, Path
from spark_klaviyo.core.identifiers import OF_PEOPLE
from spark_klaviyo.plan.types import NUMBER, TEXT, TIME, WHOLE, Type, unsendable
from spark_klaviyo.templates.model import FieldForm, FieldSpec, Template


class Clean(Enum):
    """What is done to the values of a column before they are checked and written (`arrow.columns`)."""

    NOTHING = "nothing"
    NUMBER_AS_TEXT = "number as text"  # whole numbers lose their fraction
    TEXT = "text"  # the same, and blanks around it and a spreadsheet's apostrophe are taken off
    IDENTIFIER = "identifier"  # the same, and `mailto:` and `tel:`; words for nothing become null
    TIME = "time"  # numbers and texts become moments; what has no offset is in `time_zone`
    UPPER_CASE = "upper case"
    SECRETS = "secrets"  # what has the name of a secret, and a column of card numbers, is taken out (`arrow.columns`)


@dataclass(frozen=True)
class Leaf:
    """One column of the DataFrame, or a field inside a struct column.

    `source` is the path to it: ("email",) or ("location", "city"). It is written as README.md says of its type,
    but whole numbers as text where `as_text`. `prefix` goes before a text value that does not begin with it
    ("$custom:::$default:::"). `keep_null` writes null instead of leaving it out; `omit_blank` leaves out blank text,
    which would otherwise wipe what Klaviyo holds, also where nulls are written.
    """

    source: tuple[str, ...]
    type: Type
    as_text: bool = False
    prefix: str = ""
    keep_null: bool = False
    omit_blank: bool = False
    clean: Clean = Clean.NOTHING


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
    """Every column that a node reads, in order."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Each):
        yield node.leaf
    elif isinstance(node, When):
        yield node.leaf
        yield from leaves_of(node.then)
    elif isinstance(node, Record):
        for _, child in node.fields:
            yield from leaves_of(child)
        yield from node.spread


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


# --- the node that writes a column as a field -----------------------------------------------------

_TYPES: dict[FieldForm, frozenset[str]] = {
    FieldForm.TEXT: TEXT | NUMBER,
    FieldForm.EMAIL: TEXT,
    FieldForm.PHONE: TEXT | NUMBER,
    FieldForm.CURRENCY: TEXT,
    FieldForm.NUMBER: NUMBER,
    FieldForm.COORDINATE: NUMBER | TEXT,
    FieldForm.INTEGER: WHOLE,
    FieldForm.BOOLEAN: frozenset({"boolean"}),
    FieldForm.DATETIME: TIME | TEXT | NUMBER,
    FieldForm.DATE: TEXT | {"date"},
    FieldForm.IDS: TEXT | NUMBER | {"array"},
    FieldForm.WORDS: TEXT | {"array"},
    FieldForm.TEXTS: TEXT | {"array"},
    FieldForm.OBJECT: frozenset({"struct", "map"}),
}


def misfit(known: FieldSpec, kind: Type) -> str | None:
    """Why a column of this type cannot be this field, and what to do; None where it can."""
    if kind.name == "void":
        return None
    if known.form is FieldForm.JSON:
        return unsendable(kind)
    if kind.name not in _TYPES[known.form]:
        return f"{known.name} takes {known.form.text}, not {kind.name}; cast the column"
    if kind.name == "array" and (kind.element is None or kind.element.name not in TEXT | WHOLE):
        return f"{known.name} takes an array of text; cast the elements to string"
    return unsendable(kind)


_CLEANED_BY_FORM = {
    FieldForm.DATETIME: Clean.TIME,
    FieldForm.CURRENCY: Clean.UPPER_CASE,
    FieldForm.TEXT: Clean.NUMBER_AS_TEXT,
    FieldForm.PHONE: Clean.NUMBER_AS_TEXT,
    FieldForm.IDS: Clean.NUMBER_AS_TEXT,
    FieldForm.OBJECT: Clean.SECRETS,
}


def clean_of(known: FieldSpec) -> Clean:
    """What is done to the values of a field's column."""
    name = known.name.rpartition(".")[2]
    if name == "unappend":  # what Klaviyo is to forget may well be a secret
        return Clean.NOTHING
    if name in OF_PEOPLE or name == "unique_id":
        return Clean.IDENTIFIER
    return Clean.TEXT if name == "zip" else _CLEANED_BY_FORM.get(known.form, Clean.NOTHING)


def node_for(known: FieldSpec, source: Leaf, *, keep_null: bool, keep_blank: bool = False) -> Node:
    """The node that writes this column as this field."""
    # a blank time goes to the exact check: an event must not get the moment of its arrival for it
    omit_blank = source.type.name in TEXT and not keep_blank and known.form is not FieldForm.DATETIME
    as_text = known.form in (FieldForm.TEXT, FieldForm.PHONE, FieldForm.IDS)
    leaf = replace(source, as_text=as_text, prefix=known.prefix, keep_null=keep_null, omit_blank=omit_blank)
    if known.form is FieldForm.IDS:
        return Each(leaf, known.resource_type)
    if known.form is FieldForm.TEXTS and source.type.name in TEXT:
        return Record(((ONE_ITEM, replace(leaf, keep_null=False)),), omit_empty=True)
    return leaf


# --- the tree of a template's records --------------------------------------------------------------

Branch: TypeAlias = "dict[str, Branch | Node]"
Resolve: TypeAlias = Callable[[str], object]


def build_record(template: Template, places: Mapping[Path, Node], spread: tuple[Leaf, ...], resolve: Resolve) -> Record:
    """The tree of a template's records.

    `places` says where columns go, `resolve` what a "{setting}" in the template's constants stands for (None: leave the
    key out). Known fields keep the template's order, loose properties are sorted by name, so that the text of a record
    does not depend on the order of the DataFrame's columns; rows sent as they are keep that order.
    """
    root: Branch = {}
    for at, value in constants_of(filled(template.record, resolve)[0]):
        _branch(root, at[:-1])[at[-1]] = Fixed(value)  # type: ignore[arg-type]
    order = {known.json_path: number for number, known in enumerate(template.fields)}
    for at in places if template.raw_rows else sorted(places, key=lambda at: (_rank(at, order), at)):
        _branch(root, at[:-1])[at[-1]] = places[at]
    if spread:
        _branch(root, template.properties_path)
    for at in template.keep_empty if not template.raw_rows else ():
        if at not in places:
            _branch(root, at)
    return _record((), root, template, spread)


def _rank(at: Path, order: Mapping[Path, int]) -> int:
    return order.get(at, next((rank for known, rank in order.items() if at[: len(known)] == known), len(order)))


def filled(skeleton: object, resolve: Resolve) -> tuple[object, bool]:
    """What a template says of its records or its body, with the settings filled in; and whether all have a value.

    A key that ends in "?" is left out with all below it where a setting there has none, any other with its own setting
    alone. An item of a list that holds several values is repeated with each.
    """
    if isinstance(skeleton, Mapping):
        made = {key: filled(value, resolve) for key, value in skeleton.items()}
        kept = {key: value for key, (value, whole) in made.items() if whole or not key.endswith("?")}
        present = {key.removesuffix("?"): value for key, value in kept.items() if value is not None}
        return present, all(whole or key.endswith("?") for key, (_, whole) in made.items())
    if isinstance(skeleton, list):
        items = [filled(item, resolve) for item in skeleton]
        return [each for item, _ in items for each in _each(item)], all(whole for _, whole in items)
    name = setting_of(skeleton)
    value = skeleton if name is None else resolve(name)
    return value, value is not None


def _each(item: Any) -> list[Any]:
    several = {key: held for key, held in item.items() if isinstance(held, list)} if isinstance(item, dict) else {}
    return [item | {key: one} for key, held in several.items() for one in held] if several else [item]


def setting_of(value: object) -> str | None:
    """The setting that a constant "{setting}" stands for."""
    named = isinstance(value, str) and value.startswith("{") and value.endswith("}")
    return str(value)[1:-1] if named else None


def constants_of(value: object, at: Path = ()) -> Iterator[tuple[Path, object]]:
    """The values in a template's constants, each with its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from constants_of(inner, (*at, key.removesuffix("?")))
    elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        yield from constants_of(value[0], (*at, ONE_ITEM))
    else:
        yield at, value


def _branch(branch: Branch, at: Path) -> Branch:
    for part in at:
        inner = branch.get(part)
        if not isinstance(inner, dict):
            inner = branch[part] = {}
        branch = inner
    return branch


def _record(at: Path, branch: Branch, template: Template, spread: tuple[Leaf, ...]) -> Record:
    fields = tuple(
        (name, _record((*at, name), node, template, spread) if isinstance(node, dict) else node)
        for name, node in branch.items()
    )
    mine = spread if at == template.properties_path and at else ()
    constant = any(isinstance(node, Fixed) for _, node in fields)
    kept = not at or at in template.keep_empty or constant
    return Record(fields, omit_empty=not kept, spread=mine)
