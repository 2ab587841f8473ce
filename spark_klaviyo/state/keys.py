"""The key by which a state knows a row: a hash of its identifier, computed in Spark, or of one record in Python.

Both must give the same bytes for the same row, in every version: another key means that the row is sent again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from spark_klaviyo.core.identifiers import SEPARATOR, normalised_column
from spark_klaviyo.plan.model import NOT_OF_REQUEST, WritePlan, identifier_of
from spark_klaviyo.state.format import salted

if TYPE_CHECKING:
    from pyspark.sql import Column


def depends_on_params(plan: WritePlan) -> bool:
    """Whether a row's key depends on more than its record: on its list, or its path."""
    return any(param.name not in NOT_OF_REQUEST for param in plan.params)


def record_key(plan: WritePlan, record: str) -> bytes | None:
    """The key of a row that a job named; None where its record does not show which row was sent."""
    if plan.state is None or depends_on_params(plan):
        return None
    try:
        found = identifier_of(plan.checks, json.loads(record))
    except ValueError:
        return None
    if found is None or (found[0] == "phone_number" and plan.checks.default_country):
        return None  # with a default country the state has seen the number as it was written before
    return salted(plan.state.scope, SEPARATOR.join(found))


def identifier_column(plan: WritePlan, record: str, content: Column) -> Column:
    """The identifier of each record in the column `record`, as `identifier_of` gives it.

    A row without an identifier is known by its `content`, or, where an event's id is made from some columns, by those.
    """
    from pyspark.sql import functions as f

    def value(path: tuple[str, ...]) -> Column:
        steps = "".join("[0]" if part == "[]" else f"['{part}']" for part in path)
        return normalised_column(path[-1], f.get_json_object(record, f"${steps}"))

    beside = [f.coalesce(value(path), f.lit("")) for path in plan.checks.key_with]
    named = [
        f.when(value(path) != "", f.concat_ws(SEPARATOR, f.lit(path[-1]), value(path), *beside))
        for path in plan.checks.key
    ]
    parts = [f.coalesce(value(path), f.lit("")) for path in plan.checks.unique_id_sources] or [content]
    return f.coalesce(*named, f.concat_ws(SEPARATOR, f.lit(""), *parts))


def hash_column(text: Column) -> Column:
    """The first 128 bits of SHA-256, as `state.format.digest`."""
    from pyspark.sql import functions as f

    return f.unhex(f.substring(f.sha2(text, 256), 1, 32))
