"""The columns of one Arrow batch, found by the leaves of a plan."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.plan.types import Field


class Columns:
    """The columns of one batch are the plan's, in order, whatever the batch calls them.

    Spark renames columns on the way to Python where a name holds a dot. Of columns with the same name the first counts.
    """

    def __init__(self, batch: pa.RecordBatch, fields: Sequence[Field]) -> None:
        self.rows: int = batch.num_rows
        self._batch = batch
        names = [field.name for field in fields] if len(fields) == batch.num_columns else batch.schema.names
        self._index = {name: index for index, name in reversed(list(enumerate(names)))}
        self._found: dict[tuple[str, ...], pa.Array] = {}

    def column(self, leaf: Leaf) -> pa.Array:
        """The values of a leaf; null, too, where a struct on its path is null."""
        found = self._found.get(leaf.source)
        if found is None:
            found = self._batch.column(self._index[leaf.source[0]])
            for part in leaf.source[1:]:
                found = pc.struct_field(found, [found.type.get_field_index(part)])
            self._found[leaf.source] = found
        return found
