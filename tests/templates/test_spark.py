"""Examples as Spark encodes them inside the JVM: the same requests as from rows, derived ids included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from spark_klaviyo.arrow.encoded import SPARK_ENCODED
from spark_klaviyo.core.arrow_types import ddl_of
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs.tasks import encode_for_spark, sent_columns
from tests.templates.examples import EXAMPLES, Example
from tests.templates.made import batches_of, loaded, plan_of, types_of, with_made_up_ids

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# One of each kind of shape: nested people, groups of one, channels, ids with prefixes, links, arrays of one, paths.
KINDS = (
    "bulk_import_profiles",
    "bulk_subscribe_profiles",
    "bulk_create_events",
    "create_event",
    "create_push_token",
    "bulk_create_catalog_items",
    "bulk_update_catalog_items",
    "update_items_for_catalog_category",
    "add_items_to_catalog_category",
    "delete_catalog_item",
    "bulk_create_data_source_records",
    "merge_profiles",
)


@pytest.mark.parametrize("name", KINDS)
def test_columns_from_spark_make_the_same_requests(spark: SparkSession, name: str) -> None:
    example = EXAMPLES[name]
    plan = plan_of(name, example)

    def by_spark(plan: WritePlan, example: Example) -> Iterator[pa.RecordBatch]:
        frame, sent = sent_columns(_frame(spark, example).coalesce(1), plan)
        rows = frame.mapInArrow(partial(encode_for_spark, sent), ddl_of(SPARK_ENCODED)).collect()
        yield pa.RecordBatch.from_pylist([row.asDict() for row in rows], schema=SPARK_ENCODED)

    made = [batches_of(plan, example, by_spark)[0], batches_of(plan, example)[0]]
    assert made[0]
    assert [b.envelope.path for b in made[0]] == [b.envelope.path for b in made[1]]
    assert [b.parts() and loaded(b) for b in made[0]] == [b.parts() and loaded(b) for b in made[1]]


def _frame(spark: SparkSession, example: Example) -> DataFrame:
    from pyspark.sql.types import StructType

    fields = [{"name": name, "type": form, "nullable": True} for name, form in types_of(example).items()]
    form = json.loads(json.dumps({"type": "struct", "fields": fields}), object_hook=_with_metadata)
    columns = map(with_made_up_ids, example.columns.values())
    return spark.createDataFrame(list(zip(*columns, strict=True)), StructType.fromJson(form))


def _with_metadata(field: dict[str, object]) -> dict[str, object]:
    """Spark wants metadata in each field of a schema's JSON form."""
    return {**field, "metadata": {}} if "nullable" in field else field
