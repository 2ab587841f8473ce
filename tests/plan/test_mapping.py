"""Which column goes to which field, and what is said where none fits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo import preview_klaviyo, write_klaviyo
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.plan.names import bare
from spark_klaviyo.plan.types import Field, Type, columns_of
from tests.plan.planning import fields, plan_of, struct


def becomes(columns: list[Field], **options: object) -> dict[str, str]:
    """Column -> field of Klaviyo's record."""
    return dict(plan_of(columns, **options).mapped)


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("email", "email"),
        ("EMAIL", "email"),
        ("$email", "email"),
        ("E_Mail", "email"),
        ("firstName", "first_name"),
        ("First Name", "first_name"),
        ("FIRST_NAME", "first_name"),
        ("phoneNumber", "phone_number"),
        ("External ID", "external_id"),
        ("city", "location.city"),
        ("$zip", "location.zip"),
        ("location.city", "location.city"),
        ("Location.Time_Zone", "location.timezone"),
        ("favourite colour", "properties.favourite colour"),
    ],
)
def test_a_column_is_recognised_whatever_its_case_blanks_and_underscores(column: str, field: str) -> None:
    columns = [Field("external_id", Type("string"))] if field != "external_id" else []
    assert becomes([*columns, Field(column, Type("string"))])[column] == field


@given(st.text(st.sampled_from("eE _"), max_size=6))
def test_names_are_compared_without_case_blanks_and_underscores(name: str) -> None:
    assert bare(name) == bare(name.upper()) == bare(name.replace("_", " "))


def test_a_location_struct_takes_the_place_of_flat_columns() -> None:
    found = becomes(fields(email="string", location=struct(City="string", zip="integer"), city="string"))
    assert found["location.City"] == "location.city"
    assert found["location.zip"] == "location.zip"
    assert found["city"] == "properties.city"


def test_a_location_field_that_klaviyo_does_not_know_is_named() -> None:
    with pytest.raises(SchemaError, match=r"'street' that location does not take.*other_columns=drop"):
        plan_of(fields(email="string", location=struct(street="string")))


def test_two_columns_for_one_field_are_both_named() -> None:
    with pytest.raises(SchemaError, match=r"'email' and 'E-Mail|'email' and '\$email' both mean email"):
        plan_of([Field("email", Type("string")), Field("$email", Type("string"))])


def test_fields_override_what_the_names_say() -> None:
    columns = fields(email="string", mail="string", town="string", level="string")
    wishes = '{"email":"mail","location.city":"town","properties.tier":"level"}'
    found = becomes(columns, fields=wishes)
    assert found == {
        "mail": "email",
        "town": "location.city",
        "level": "properties.tier",
        "email": "properties.email",
    }


def test_fields_reach_into_a_struct_column() -> None:
    columns = [*fields(email="string"), Field("address", fields(x=struct(town="string"))[0].type)]
    assert becomes(columns, fields={"location.city": "address.town"})["address.town"] == "location.city"


def test_a_wish_for_a_column_that_is_not_there_says_the_nearest() -> None:
    with pytest.raises(SchemaError, match=r"no such column \(did you mean mail\?\)"):
        plan_of(fields(mail="string"), fields={"email": "mial"})


def test_an_unknown_field_path_says_the_nearest() -> None:
    with pytest.raises(SchemaError, match=r"has no field 'emial' \(did you mean email\?\)"):
        plan_of(fields(mail="string"), fields={"emial": "mail"})


def test_patched_properties_are_reached_by_path() -> None:
    columns = fields(
        email="string", tags={"type": "array", "elementType": "string", "containsNull": True}, gone="string"
    )
    wishes = {"meta.patch_properties.append.tags": "tags", "meta.patch_properties.unset": "gone"}
    found = becomes(columns, fields=wishes)
    assert found["tags"] == "meta.patch_properties.append.tags"
    assert found["gone"] == "meta.patch_properties.unset"


def test_a_frame_without_identifier_is_refused_with_what_it_has() -> None:
    with pytest.raises(SchemaError, match=r"no column is an identifier.*email.*found columns tier.*fields="):
        plan_of(fields(tier="string"))


@pytest.mark.parametrize("kind", ["interval day to second", "geometry", "calendar_interval"])
def test_a_type_that_cannot_be_sent_is_refused_with_what_to_do(kind: str) -> None:
    with pytest.raises(SchemaError, match=r"column .age.*drop it"):
        plan_of(fields(email="string", age=kind))


def test_a_boolean_is_no_text() -> None:
    with pytest.raises(SchemaError, match=r"location.zip takes text or a whole number, not boolean"):
        plan_of(fields(email="string", zip="boolean"))


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(SchemaError) as caught:
        plan_of(fields(tier="string", zip="boolean", age="geometry"))
    assert len(caught.value.complaints) == 3


@pytest.mark.parametrize(("wish", "expected"), [("properties", "properties.tier"), ("drop", "dropped")])
def test_other_columns_go_where_the_option_says(wish: str, expected: str) -> None:
    assert becomes(fields(email="string", tier="string"), other_columns=wish)["tier"] == expected


def test_other_columns_can_be_an_error_with_the_nearest_field() -> None:
    with pytest.raises(SchemaError, match=r"'frist_name' is not a field of Klaviyo's \(did you mean first_name\?\)"):
        plan_of(fields(email="string", frist_name="string"), other_columns="error")


def test_a_properties_struct_joins_the_loose_columns() -> None:
    found = becomes(fields(email="string", properties=struct(tier="string"), age="integer"))
    assert found["properties.tier"] == "properties.tier"
    assert found["age"] == "properties.age"


def test_a_near_miss_becomes_a_property_with_a_warning() -> None:
    plan = plan_of(fields(external_id="string", emailadress="string", emails="string"))
    assert any("emails" in warning and "email" in warning for warning in plan.warnings)


def test_the_order_of_the_columns_changes_nothing() -> None:
    one = plan_of(fields(email="string", b="string", a="string", city="string"))
    other = plan_of(fields(city="string", a="string", email="string", b="string"))
    assert one.record == other.record


def test_columns_of_the_same_name_are_refused_instead_of_one_being_lost() -> None:
    with pytest.raises(SchemaError, match=r"2 columns are called 'level'.*rename or drop all but one"):
        plan_of([*fields(email="string", level="long"), *fields(level="string")])


@pytest.mark.parametrize("name", ["location", "properties"])
def test_a_column_of_nulls_alone_gives_nothing(name: str) -> None:
    assert becomes(fields(email="string", **{name: "void"})) == {"email": "email", name: name}


@pytest.mark.parametrize("kind", ["long", "binary", struct(email="string")])
def test_ready_made_records_are_text(kind: str | dict[str, object]) -> None:
    with pytest.raises(SchemaError, match=r"record_column: column .json. is a .*; it must hold the records as JSON"):
        plan_of(fields(json=kind), record_column="json")


def test_a_value_that_steers_a_request_is_one_value() -> None:
    lists: dict[str, object] = {"type": "array", "elementType": "string", "containsNull": True}
    with pytest.raises(SchemaError, match="list_id: column 'lists' is array; it must hold one value a row"):
        plan_of(fields(email="string", lists=lists), template="add_profiles_to_list", list_id="column:lists")


@pytest.mark.parametrize("door", [write_klaviyo, preview_klaviyo])
@pytest.mark.parametrize("options", [{}, {"change_column": "op", "on_delete": "ignore"}, {"list_mode": "mirror"}])
def test_what_is_no_dataframe_is_refused(door: Callable[..., object], options: dict[str, object]) -> None:
    goal = {"template": "add_profiles_to_list", "list_id": "Y6nRLr", "api_key": "pk_test_0123456789", **options}
    with pytest.raises(OptionError, match="df: expected a Spark DataFrame, found list"):
        door([{"email": "ann@example.com"}], **goal)


def test_the_value_of_an_event_inside_its_properties_is_warned_about() -> None:
    columns = fields(email="string", time="timestamp", properties=struct(value="double", size="string"))
    plan = plan_of(columns, template="bulk_create_events", metric="Ordered")
    (said,) = [warning for warning in plan.warnings if "'properties.value'" in warning]
    assert 'fields={"value":"properties.value"} places it there' in said
    placed = plan_of(columns, template="bulk_create_events", metric="Ordered", fields={"value": "properties.value"})
    assert not [warning for warning in placed.warnings if "properties.value" in warning]


def test_what_is_no_dataframe_is_refused_with_what_makes_one() -> None:
    class OnSpark:
        """Stands for pandas on Spark."""

        def to_spark(self) -> None:
            """Makes a DataFrame."""

    for frame, makes in ((OnSpark(), r"df\.to_spark\(\)"), ([1], r"spark\.createDataFrame\(\.\.\.\)")):
        with pytest.raises(OptionError, match=f"expected a Spark DataFrame.*{makes}.* makes one"):
            columns_of(frame)
