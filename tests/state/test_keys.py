"""What a state knows rows by: the same bytes in Python and in Spark, and in every version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_klaviyo.arrow.encoded import ROW_KEY
from spark_klaviyo.core.identifiers import BLANKS, normalise_identifier, normalised_column
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import Field, read_type
from spark_klaviyo.runs.tasks import encode_for_spark
from spark_klaviyo.state.fingerprints import endpoint_of, record_key
from spark_klaviyo.state.format import salted, scope_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = ("email", "phone_number", "external_id", "metric", "time", "unique_id")


def plan_of(**options: object) -> WritePlan:
    fields = [Field(name, read_type("string")) for name in COLUMNS]
    given: dict[str, object] = {"api_key": "pk_x", **options}
    if "template" in given:
        given["other_columns"] = "drop"
    plan = make_plan(options_at(EntryPoint.FUNCTION, given), fields, "run")
    return replace(plan, state=StateLocation("/state", b"s" * 16, "run", 1))


# Other values mean that every state written by version 0.1 sends all of its rows again.
SCOPES = [
    ({"template": "bulk_import_profiles", "list_id": "b ,a"}, "10c465bb94e8264e982471ef8858ce78"),
    ({"template": "add_profiles_to_list", "api": "v2", "list_id": "Abc123"}, "d67af73da84d251029b99c83ba6fc4c1"),
    ({"template": "bulk_create_events"}, "c14f94330a1ae3c916b15a64edefc35c"),
    ({"template": "create_or_update_profile"}, "ece66b6b0c3d6ab5c95a9bb299fd7529"),
    (
        {"url": "https://a.klaviyo.com/api/x?y=1", "content_format": "ndjson", "headers": "x:y"},
        "d2bd186522e1df94320ae0512ca7f66f",
    ),
]
KEYS = [
    ('{"attributes":{"email":" Ann@X.com "}}', "a5bb68fec877ffe378bfdff8c090a93d"),
    ('{"attributes":{"phone_number":"+1 (617) 555-1234"}}', "1eb2345616b02a59c94d454bcaeef50e"),
    ('{"attributes":{"external_id":" x1"}}', "fefa6eec4095b1cc0f68e547025d4d25"),
    ('{"id":"p1"}', "4282dddec5a1b7dd56bf6ec666291baa"),
]


@pytest.mark.parametrize(("options", "scope"), SCOPES)
def test_the_scopes_of_version_0_1_still_count(options: dict[str, object], scope: str) -> None:
    assert scope_of("acc", endpoint_of(plan_of(**options))).hex() == scope


@pytest.mark.parametrize(("record", "key"), KEYS)
def test_the_keys_of_version_0_1_still_count(record: str, key: str) -> None:
    found = record_key(plan_of(template="bulk_import_profiles"), record)
    assert found is not None
    assert found.hex() == key


@pytest.mark.parametrize(
    ("options", "record"),
    [
        ({"list_id": "column:metric"}, '{"attributes":{"email":"ann@x.com"}}'),  # another list is another key
        ({}, '{"attributes":{"first_name":"Ann"}}'),
        ({}, "no JSON"),
    ],
)
def test_a_record_that_does_not_show_which_row_was_sent_has_no_key(options: dict[str, object], record: str) -> None:
    assert record_key(plan_of(template="add_profiles_to_list", **{"list_id": "A", **options}), record) is None


@pytest.mark.parametrize(
    ("written", "sent"),
    [("0049 151 1234567", "+491511234567"), ("+49 (0)151 1234567", "+491511234567"), ("617-555-0123", "+16175550123")],
)
def test_a_job_names_a_row_by_the_phone_that_was_sent(written: str, sent: str) -> None:
    plan = plan_of(template="bulk_import_profiles", default_country="US")
    texts = [pa.array([written if name == "phone_number" else None], pa.string()) for name in COLUMNS]
    (encoded,) = encode_for_spark(plan, iter([pa.RecordBatch.from_arrays(texts, names=COLUMNS)]))
    assert encoded.column(ROW_KEY)[0].as_py() == record_key(plan, f'{{"attributes":{{"phone_number":"{sent}"}}}}')


def test_events_whose_id_is_made_of_a_column_are_told_apart_by_person_and_metric_too() -> None:
    rows = [
        ("ann@x.com", "Placed", "7"),
        ("ann@x.com", "Shipped", "7"),
        ("ben@x.com", "Placed", "7"),
        ("ann@x.com", "Placed", None),
        ("ann@x.com", "Placed", " "),
        ("Ann@x.com", "Placed", "7"),
    ]
    names = ("email", "metric", "order_id")
    options = {
        "template": "bulk_create_events",
        "unique_id_columns": "order_id",
        "event_time": "now",
        "api_key": "pk_x",
    }
    columns = [Field(name, read_type("string")) for name in names]
    plan = replace(
        make_plan(options_at(EntryPoint.FUNCTION, options), columns, "run"), state=StateLocation("", b"s" * 16, "run")
    )
    batch = pa.RecordBatch.from_arrays([pa.array(one, pa.string()) for one in zip(*rows, strict=True)], names=names)
    (encoded,) = encode_for_spark(plan, iter([batch]))
    keys = encoded.column(ROW_KEY).to_pylist()
    assert keys[0] == keys[5]
    assert len(set(keys)) == 5


def test_accounts_templates_and_settings_have_scopes_of_their_own_whatever_their_order() -> None:
    one = {"template": "t", "settings": {"list_id": "A", "x": "1"}}
    assert scope_of("acc", one) == scope_of("acc", dict(reversed(one.items())))
    others = [scope_of("acc", {**one, "settings": {"list_id": "B"}}), scope_of("other", one), scope_of("acc", {})]
    assert len({scope_of("acc", one), *others}) == 4
    assert salted(scope_of("acc", one), "email=a") != salted(scope_of("other", one), "email=a")


blanks = st.text(st.sampled_from(BLANKS), max_size=3)
inner = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cn"]), max_size=12)
inner |= st.text(st.sampled_from("+0123456789 ().-x\u0661"), max_size=15) | st.emails()
spelled = st.builds("{}{}{}".format, blanks, inner, blanks) | st.none()


@pytest.mark.oldest
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(spelled, min_size=50, max_size=300))
def test_identifiers_compare_alike_in_python_and_in_spark(spark: SparkSession, values: list[str | None]) -> None:
    from pyspark.sql import functions as f

    fields = ("email", "phone_number", "external_id")
    df = spark.createDataFrame([(value,) for value in values], "value string").coalesce(1)
    rows = df.select(*(f.coalesce(normalised_column(field, f.col("value")), f.lit("")) for field in fields)).collect()
    assert [tuple(row) for row in rows] == [
        tuple(normalise_identifier(field, value) for field in fields) for value in values
    ]


@pytest.mark.parametrize(
    ("field", "value", "normalised"),
    [
        ("email", " Ann@X.com\r\n", "ann@x.com"),
        ("email", None, ""),
        ("phone_number", "+1 (617) 555-1234", "+16175551234"),
        ("phone_number", "n/a", ""),
        ("external_id", "\u00a0Crm-1 ", "Crm-1"),
        ("external_id", 7, "7"),
        ("external_id", {"a": 1}, ""),
    ],
)
def test_an_identifier_is_compared_without_blanks_case_and_punctuation(
    field: str, value: object, normalised: str
) -> None:
    assert normalise_identifier(field, value) == normalised
