"""The columns of one Arrow batch, found by the leaves of a plan, cleaned as their fields ask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Mask, valid_rows
from spark_klaviyo.arrow.cleaning import cleaned, nan_rows, without_nan
from spark_klaviyo.arrow.secrets import holds_card_numbers, without_secrets
from spark_klaviyo.plan.shape import Clean, Leaf
from spark_klaviyo.plan.types import Field


class Columns:
    """The columns of one batch are the plan's, in order, whatever the batch calls them.

    Spark renames columns on the way to Python where a name holds a dot. Of columns with the same name the first counts.
    NaN, which pandas writes for null, is null; `nan` holds the rows where it stood, by column. `cards` holds the rows
    of columns of card numbers, and `secrets` those from which something with the name of a secret was taken;
    `no_objects` the rows of columns of JSON text that hold something else than an object; `value_inside` those with an
    entry `value`.
    """

    def __init__(self, batch: pa.RecordBatch, fields: Sequence[Field], zone: str = "UTC") -> None:
        self.rows: int = batch.num_rows
        self.nan: dict[str, Mask] = {}
        self.cards: dict[tuple[str, ...], Mask] = {}
        self.secrets: Mask | None = None
        self.no_objects: dict[str, Mask] = {}
        self.value_inside: Mask = np.zeros(self.rows, np.bool_)
        self._batch, self._zone = batch, zone
        names = [field.name for field in fields] if len(fields) == batch.num_columns else batch.schema.names
        self._index = {name: index for index, name in reversed(list(enumerate(names)))}
        self._whole: dict[str, pa.Array] = {}
        self._found: dict[tuple[tuple[str, ...], Clean], pa.Array] = {}

    def column(self, leaf: Leaf) -> pa.Array:
        """The values of a leaf; null, too, where a struct on its path is null."""
        key = leaf.source, leaf.clean
        found = self._found.get(key)
        if found is None:
            found = self._top(leaf)
            for part in leaf.source[1:]:
                found = pc.struct_field(found, [found.type.get_field_index(part)])
            if leaf.clean is Clean.SECRETS:
                found = self._without_secrets(leaf, found)
            elif leaf.clean is not Clean.NOTHING:
                found = cleaned(found, leaf.clean, self._zone)
            self._found[key] = found
        return found

    def _without_secrets(self, leaf: Leaf, column: pa.Array) -> pa.Array:
        if holds_card_numbers(column):
            self.cards[leaf.source] = valid_rows(column)
            return pa.nulls(len(column), column.type)
        column, taken = without_secrets(column)
        if taken is not None:
            self.note_secrets(taken)
        return column

    def note_secrets(self, rows: Mask) -> None:
        """Note the rows from which something with the name of a secret was taken."""
        self.secrets = rows if self.secrets is None else self.secrets | rows

    def _top(self, leaf: Leaf) -> pa.Array:
        name = leaf.source[0]
        found = self._whole.get(name)
        if found is None:
            found = self._batch.column(self._index[name])
            nan = nan_rows(found)
            if nan is not None:
                self.nan[name] = nan
                found = without_nan(found)
            self._whole[name] = found
        return found
