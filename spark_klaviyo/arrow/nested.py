"""Changes scalars at any depth of a column: inside structs, arrays and maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa

from spark_klaviyo.arrow.arrays import children, is_list, is_text, list_array, map_array, valid_rows

Change: TypeAlias = Callable[[pa.Array], pa.Array]


def with_scalars(column: pa.Array, changes: Callable[[pa.DataType], bool], change: Change) -> pa.Array:
    """The column with the scalars whose type changes, at any depth, replaced. Keys of maps become text."""
    kind = column.type
    if not _any_type(kind, changes):
        return column
    if pa.types.is_struct(kind):
        parts = [with_scalars(column.field(i), changes, change) for i in range(kind.num_fields)]
        fields = [pa.field(kind.field(i).name, part.type) for i, part in enumerate(parts)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=column.is_null())
    if is_list(kind):
        (items,), groups = children(column)
        values = with_scalars(items, changes, change)
        return list_array(valid_rows(column), groups, values)
    if pa.types.is_map(kind):
        (keys, items), groups = children(column)
        names, values = keys.cast(pa.string()), with_scalars(items, changes, change)
        names = change(names) if changes(names.type) else names
        return map_array(valid_rows(column), groups, names, values)
    return change(column)


def _any_type(kind: pa.DataType, changes: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type changes, or holds one that does at any depth; a map whose keys are not text changes."""
    if pa.types.is_map(kind):
        return not is_text(kind.key_type) or _any_type(kind.key_type, changes) or _any_type(kind.item_type, changes)
    if is_list(kind) or pa.types.is_struct(kind):
        return any(_any_type(kind.field(i).type, changes) for i in range(kind.num_fields))
    return changes(kind)
