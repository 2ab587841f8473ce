"""Plans as a door would make them, without Spark."""

from __future__ import annotations

from collections.abc import Mapping

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, Type, read_type

KEY = "pk_test_0123456789"


def fields(**types: str | Mapping[str, object]) -> list[Field]:
    """Columns by name with their types in Spark's JSON form."""
    return [Field(name, read_type(kind)) for name, kind in types.items()]


def struct(**types: str) -> dict[str, object]:
    """Spark's JSON form of a struct type."""
    return {"type": "struct", "fields": [{"name": n, "type": t, "nullable": True} for n, t in types.items()]}


def plan_of(columns: list[Field], **options: object) -> WritePlan:
    """The plan of a write at the function door."""
    given = {"api_key": KEY, "template": "bulk_import_profiles", **options}
    if "url" in options:
        del given["template"]
    return make_plan(options_at(EntryPoint.FUNCTION, given), columns, "run")


TEXT = Type("string")
