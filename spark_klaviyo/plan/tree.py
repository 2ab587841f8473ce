"""Places and constants in, one `Record` tree out: the shape of each record, in a stable order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from spark_klaviyo.core.json_paths import ONE_ITEM
from spark_klaviyo.plan.shape import Fixed, Leaf, Node, Record
from spark_klaviyo.templates.model import Template

Branch: TypeAlias = "dict[str, Branch | Node]"
Resolve: TypeAlias = Callable[[str], "Node | None"]


def build_record(
    template: Template, places: Mapping[tuple[str, ...], Node], spread: tuple[Leaf, ...], resolve: Resolve
) -> Record:
    """The tree of a template's records.

    `places` says where columns go, `resolve` what a "{setting}" in the template's constants stands for (None: leave the
    key out). Known fields keep the template's order, loose properties are sorted by name, so that the text of a record
    does not depend on the order of the DataFrame's columns; rows sent as they are keep that order.
    """
    root: Branch = {}
    _constants(root, template.record, resolve)
    order = {known.json_path: number for number, known in enumerate(template.fields)}
    loose = len(order)
    ranked = list(places) if template.raw_rows else sorted(places, key=lambda at: (_rank(at, order, loose), at))
    for at in ranked:
        _branch(root, at[:-1])[at[-1]] = places[at]
    if spread:
        _branch(root, template.properties_path)
    for at in template.keep_empty if not template.raw_rows else ():
        if at not in places:
            _branch(root, at)
    return _record((), root, template, spread)


def _rank(at: tuple[str, ...], order: Mapping[tuple[str, ...], int], loose: int) -> int:
    return order.get(at, next((rank for known, rank in order.items() if at[: len(known)] == known), loose))


def _constants(branch: Branch, constants: Mapping[str, object], resolve: Resolve) -> bool:
    """Put constants into a branch; whether all their settings are given. A key that ends in "?" goes without."""
    complete = True
    for key, value in constants.items():
        name = key.removesuffix("?")
        held, whole = _constant(value, resolve)
        if held is not None and (whole or name == key):
            branch[name] = held
        complete = complete and (whole or name != key)
    return complete


def _constant(value: object, resolve: Resolve) -> tuple[Branch | Node | None, bool]:
    inner: Branch = {}
    if isinstance(value, Mapping):
        return inner, _constants(inner, value, resolve)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        return {ONE_ITEM: inner}, _constants(inner, value[0], resolve)
    name = setting_of(value)
    if name is not None:
        node = resolve(name)
        return node, node is not None
    return Fixed(value), True  # type: ignore[arg-type]


def setting_of(value: object) -> str | None:
    """The setting that a constant "{setting}" stands for."""
    named = isinstance(value, str) and value.startswith("{") and value.endswith("}")
    return str(value)[1:-1] if named else None


def setting_places(constants: object, at: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Where settings stand in a template's constants."""
    name = setting_of(constants)
    if name is not None:
        return {name: at}
    children = list(constants.items()) if isinstance(constants, Mapping) else []
    if isinstance(constants, list):
        children = [(ONE_ITEM, item) for item in constants]
    found: dict[str, tuple[str, ...]] = {}
    for key, value in children:
        found |= setting_places(value, (*at, key.removesuffix("?")))
    return found


def _branch(root: Branch, at: tuple[str, ...]) -> Branch:
    branch = root
    for part in at:
        inner = branch.get(part)
        if not isinstance(inner, dict):
            inner = branch[part] = {}
        branch = inner
    return branch


def _record(at: tuple[str, ...], branch: Branch, template: Template, spread: tuple[Leaf, ...]) -> Record:
    fields = tuple(
        (name, _record((*at, name), node, template, spread) if isinstance(node, dict) else node)
        for name, node in branch.items()
    )
    mine = spread if at == template.properties_path and at else ()
    constant = any(isinstance(node, Fixed) for _, node in fields)
    kept = not at or at in template.keep_empty or constant
    return Record(fields, omit_empty=not kept, spread=mine)
