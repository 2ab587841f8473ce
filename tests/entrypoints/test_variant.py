"""VARIANT: its JSON where there is a session, refused by name elsewhere; and other types without a JSON form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import SchemaError, klaviyo_partition_writer, preview_klaviyo, write_klaviyo
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytest.importorskip("pyspark.sql.types", reason="Spark has no VARIANT").__dict__.get("VariantType") or pytest.skip(
    "this Spark has no VARIANT", allow_module_level=True
)
FRAME = """
select 'ann@example.com' as email, parse_json('{"plan":"a","n":1.50,"tier":"text","ssn":"1"}') as properties,
  'gold' as tier, parse_json('[1,{"deep":null,"password":"x"},"q\\\\"uote"]') as items, parse_json('null') as nothing,
  named_struct('v', parse_json('{"k":true}'), 'n', 1) as held, array(parse_json('2'), null) as several
"""
SENT = {
    "plan": "a",
    "n": 1.5,
    "tier": "gold",
    "items": [1, {"deep": None}, 'q"uote'],
    "held": {"v": {"k": True}, "n": 1},
    "several": [2, None],
}


def given(klaviyo: KlaviyoSimulator) -> dict[str, Any]:
    return {"template": "bulk_import_profiles", "api_key": "pk_test_0123456789", "base_url": klaviyo.url}


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    return spark.sql(FRAME)


def test_variants_are_sent_as_their_json_where_there_is_a_session(frame: DataFrame) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        preview = preview_klaviyo(frame, **given(klaviyo))
        report = write_klaviyo(frame, **given(klaviyo))
        assert klaviyo.profiles[0]["properties"] == SENT
    assert report.delivered == 1
    assert '"k": true' in preview.requests[0].body_text


def test_variants_are_refused_by_name_where_there_is_no_session(frame: DataFrame) -> None:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        with pytest.raises(SchemaError, match=r"'items'.*variant.*to_json"):
            klaviyo_partition_writer(schema=frame.schema, **given(klaviyo))
        with pytest.raises(Exception, match=r"'items'.*VariantVal.*to_json"):
            frame.select("email", "items").foreachPartition(klaviyo_partition_writer(**given(klaviyo)))
        assert klaviyo.profiles == []


@pytest.mark.parametrize("kind", ["interval '1' day", "interval '1' month"])
def test_other_types_without_a_json_form_are_refused_before_anything_is_sent(spark: SparkSession, kind: str) -> None:
    frame = spark.sql(f"select 'ann@example.com' as email, {kind} as odd")
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        for write in (write_klaviyo, preview_klaviyo):
            with pytest.raises(SchemaError, match=r"'odd'.*interval.*has no JSON form; cast it"):
                write(frame, **given(klaviyo))
        assert klaviyo.requests == []
