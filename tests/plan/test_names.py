"""What names say: driven by the dictionary itself, at templates of every family."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.errors import SchemaError
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.names import ColumnNames, Sure, bare, dictionary
from spark_klaviyo.plan.types import Field, Type, read_type
from spark_klaviyo.templates import find_template
from tests.plan.planning import TEXT, fields, plan_of, struct

TEMPLATES = {
    "person": ("bulk_import_profiles", {}),
    "event": ("bulk_create_events", {"event_time": "now"}),
    "item": ("bulk_create_catalog_items", {"other_columns": "drop"}),
    "variant": ("bulk_create_catalog_variants", {"other_columns": "drop"}),
    "coupon_code": ("bulk_create_coupon_codes", {"other_columns": "drop"}),
}
TYPES = {"price": "double", "value": "double", "inventory_quantity": "integer", "inventory_policy": "integer"}
TYPES |= {"published": "boolean"}
SECRETS = (
    "password_hash", "Password", "rp_token", "cart_token", "apiToken", "card_number", "Card Number", "creditCard",
    "cardLast4", "card.cvc", "iban", "bank_account_id", "ssn", "socialSecurityNumber", "tax_id", "passport_number",
    "customer_ssn", "CVV", "PAN Suffix", "client_secret", "driversLicense", "national_id", "secure_key", "CC Last 4",
    "Last 4 Card Digits", "Tax Reg. Number", "USt-IdNr.", "Num\u00e9ro de carte", "N\u00famero de tarjeta",
)  # fmt: skip
NO_SECRETS = (
    "classname",
    "passion",
    "secretary",
    "compass",
    "lesson",
    "tax_exempt",
    "card_brand",
    "panda",
    "pinterest",
    "last_4_weeks",
    "success_expected",
    "secure",
    "tax_region",
)


def names_of(sure: Sure) -> Iterator[tuple[str, str, str]]:
    """Every spelling of a list: its family, the field and the name."""
    for family, known in dictionary()["families"].items():
        for field, lists in known.items():
            yield from ((family, field, name) for name in lists.get(str(sure), ()))


def plan_with(family: str, columns: list[Field], **options: object) -> WritePlan:
    """A plan whose other required fields are there, under their own names."""
    template, more = TEMPLATES[family]
    return plan_of(with_required(family, columns), template=template, **{**more, **options})


def with_required(family: str, columns: list[Field]) -> list[Field]:
    """These columns, and one for each required field that none of them gives, under its own name."""
    probe = find_template(TEMPLATES[family][0])
    own = {field.name for field in columns}
    needed = [known for known in probe.fields if known.required and known.name not in own]
    if probe.identifiers:
        needed = [*needed, *(known for known in probe.fields if known.name in ("_kx", "profile._kx"))]
    taken = {ColumnNames(probe, (), ()).known(column.name) for column in columns}
    claimed = {found.fields[0] for found in taken if found and found.sure in (Sure.CERTAIN, Sure.LIKELY)}
    return [*columns, *(Field(k.name, Type(TYPES.get(k.name, "string"))) for k in needed if k.name not in claimed)]


def column(field: str, name: str) -> Field:
    return Field(name, Type(TYPES.get(field, "string")))


def place(plan: WritePlan, name: str) -> str:
    return dict(plan.mapped)[name].removeprefix("profile.")


@pytest.mark.parametrize(("family", "field", "name"), list(names_of(Sure.CERTAIN)))
def test_each_certain_name_alone_is_placed_and_needs_no_words(family: str, field: str, name: str) -> None:
    plan = plan_with(family, [column(field, name)])
    assert place(plan, name) == field
    assert not [warning for warning in plan.warnings if repr(name) in warning]


@pytest.mark.parametrize(("family", "field", "name"), list(names_of(Sure.LIKELY)))
def test_each_likely_name_alone_is_placed_with_the_entry_that_keeps_it(family: str, field: str, name: str) -> None:
    plan = plan_with(family, [column(field, name)])
    assert place(plan, name) == field
    (said,) = [warning for warning in plan.warnings if repr(name) in warning]
    if family in ("person", "event"):
        kept = plan_with(family, [column(field, name)], fields={f"properties.{name}": name})
        assert f'fields={{"properties.{name}":"{name}"}}' in said
        assert place(kept, name) == f"properties.{name}"


@pytest.mark.parametrize(("family", "field", "name"), list(names_of(Sure.ASK)))
def test_each_name_to_ask_about_stays_a_property_with_the_entry_that_places_it(
    family: str, field: str, name: str
) -> None:
    found = ColumnNames(find_template(TEMPLATES[family][0]), (), ()).known(name)
    assert found is not None
    if found.sure is not Sure.ASK:  # the template itself gives this name to a field
        assert found.sure is Sure.CERTAIN
        return
    plan = plan_with(family, [column(field, name)])
    assert place(plan, name) in (f"properties.{name}", "dropped")
    assert field in {path.removeprefix("profile.") for path in found.fields}
    assert any(repr(name) in warning and f'":"{name}"' in warning for warning in plan.warnings)


@pytest.mark.parametrize("family", TEMPLATES)
def test_of_each_pair_of_rivals_the_first_of_the_list_wins_in_any_order(family: str) -> None:
    for field, lists in dictionary()["families"][family].items():
        ranked = [*lists.get("certain", ()), *lists.get("likely", ())]
        for first, second in combinations(ranked[:8], 2):
            pair = [column(field, first), column(field, second)]
            for columns in (pair, pair[::-1]):
                plan = plan_with(family, columns)
                assert place(plan, first) == field
                assert place(plan, second) != field
                assert any(repr(second) in warning and repr(first) in warning for warning in plan.warnings)


@pytest.mark.parametrize("family", TEMPLATES)
def test_no_spelling_is_both_certain_or_likely_and_a_secret(family: str) -> None:
    names = ColumnNames(find_template(TEMPLATES[family][0]), (), ())
    placed = [name for sure in (Sure.CERTAIN, Sure.LIKELY) for kind, _, name in names_of(sure) if kind == family]
    assert [name for name in placed if names.is_secret(name)] == []
    assert all(bare(name) == name for name in placed)


def test_a_field_own_name_is_certain_whatever_a_list_says() -> None:
    push = plan_of(
        fields(token="string", platform="string", vendor="string", email="string"), template="create_push_token"
    )
    assert dict(push.mapped)["token"] == "token"
    named = plan_of(fields(name="string"), template="create_list")
    assert dict(named.mapped) == {"name": "name"}


def test_an_id_is_klaviyos_only_where_rows_are_ids() -> None:
    plan = plan_of(fields(email="string", id="string"))
    assert dict(plan.mapped)["id"] == "properties.id"
    assert any('fields={"external_id":"id"}' in warning for warning in plan.warnings)
    by_id = plan_of(fields(id="string"), template="add_profile_ids_to_list", list_id="Y6nRLr")
    assert dict(by_id.mapped) == {"id": "id"}
    assert dict(plan_of(fields(id="string"), fields={"id": "id"}).mapped) == {"id": "id"}


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("default_address_city", "location.city"),
        ("address.postal_code", "location.zip"),
        ("shippingAddress_zip", "location.zip"),
        ("Address 1 - City", "location.city"),
        ("Prénom", "first_name"),
        ("FIRST-NAME", "first_name"),
        ("\ufeffEmail Address", "email"),
        ("Straße", "location.address1"),
    ],
)
def test_accents_marks_and_flattened_structs_are_understood(column: str, field: str) -> None:
    assert dict(plan_of([*fields(_kx="string"), Field(column, TEXT)]).mapped)[column] == field


def test_a_byte_order_mark_is_no_part_of_a_propertys_name() -> None:
    assert dict(plan_of([Field("\ufeffTier", TEXT), *fields(email="string")]).mapped)["\ufeffTier"] == "properties.Tier"


@pytest.mark.parametrize("prefix", ["customer_", "property_", "user."])
def test_a_prefix_that_all_columns_share_does_not_count(prefix: str) -> None:
    columns = [Field(prefix + name, TEXT) for name in ("email", "firstname", "zip_code", "tier")]
    found = dict(plan_of(columns).mapped)
    assert [found[column.name] for column in columns] == [
        "email",
        "first_name",
        "location.zip",
        f"properties.{prefix}tier",
    ]


def test_a_column_that_is_known_with_the_prefix_is_what_it_is_with_it() -> None:
    columns = fields(customer_id="string", customer_email="string", customer_town="string", customer_gender="string")
    plan = plan_of(columns)
    assert dict(plan.mapped)["customer_id"] == "properties.customer_id"
    assert any("'customer_email' is likely email" in warning for warning in plan.warnings)


def test_a_prefix_counts_where_another_column_goes_without() -> None:
    columns = [Field(f"shop_{name}", TEXT) for name in ("city", "zip", "country")]
    found = dict(plan_of([*fields(email="string"), *columns]).mapped)
    assert {found[column.name] for column in columns} == {f"properties.{column.name}" for column in columns}


def test_headers_that_spark_numbered_are_equal_so_an_identifier_is_asked_for() -> None:
    columns = fields(Email0="string", Email2="string", city="string")
    with pytest.raises(SchemaError, match=r"'Email0' and 'Email2' both mean email; say which in fields=.*Email0"):
        plan_of(columns)
    found = dict(plan_of(columns, fields={"email": "Email2"}).mapped)
    assert (found["Email2"], found["Email0"]) == ("email", "properties.Email0")


def test_the_second_copy_of_pandas_gives_way_to_the_first() -> None:
    plan = plan_of([Field(name, TEXT) for name in ("Email.1", "Email")])
    assert dict(plan.mapped) == {"Email": "email", "Email.1": "properties.Email.1"}
    assert any("'Email.1' means email, which column 'Email' gives" in warning for warning in plan.warnings)


def test_the_plainer_name_wins() -> None:
    names = ("Default Address Phone", "Phone", "Province Code", "Province", "email")
    found = dict(plan_of([Field(name, TEXT) for name in names]).mapped)
    assert (found["Phone"], found["Province"]) == ("phone_number", "location.region")


def test_a_likely_column_of_another_type_is_no_field() -> None:
    plan = plan_of(fields(email="string", company=struct(name="string")))
    assert dict(plan.mapped)["company"] == "properties.company"


def test_a_missing_time_names_the_columns_that_may_be_it() -> None:
    with pytest.raises(SchemaError, match=r'no column for time.*fields=\{"time":"created_at"\}.*event_time=now'):
        plan_of(fields(email="string", created_at="string"), template="create_event", metric="Placed")


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_not_sent_unless_fields_names_them(name: str) -> None:
    columns = [*fields(email="string"), Field(name, TEXT)]
    plan = plan_of(columns)
    assert dict(plan.mapped)[name] == "dropped"
    assert any(repr(name) in warning and "is not sent" in warning for warning in plan.warnings)
    assert dict(plan_of(columns, fields={f"properties.{name}": name}).mapped)[name] == f"properties.{name}"


@pytest.mark.parametrize("name", NO_SECRETS)
def test_names_that_only_look_alike_are_sent(name: str) -> None:
    assert dict(plan_of([*fields(email="string"), Field(name, TEXT)]).mapped)[name] == f"properties.{name}"


def test_secrets_inside_structs_stay_and_the_rest_is_sent() -> None:
    inner = {"type": "struct", "fields": [
        {"name": "plan", "type": "string", "nullable": True}, {"name": "password", "type": "string", "nullable": True}
    ]}  # fmt: skip
    cards = {"type": "array", "elementType": struct(card_number="string"), "containsNull": True}
    plan = plan_of([*fields(email="string", account=inner), Field("wallet", read_type(cards))])
    found = dict(plan.mapped)
    assert found["account.plan"] == "properties.account.plan"
    assert (found["account.password"], found["wallet"]) == ("dropped", "dropped")


@pytest.mark.parametrize(
    "name",
    [
        "accepts_marketing",
        "Email Marketing Consent",
        "$consent",
        "anonymous_id",
        "_metadata",
        "EMAIL_BLACKLISTED",
        "I agree to receive marketing emails",
        "donotbulkemail",
        "SMS subscriber status",
        "D\u00e9sinscrit",
    ],
)
def test_columns_that_do_nothing_here_are_warned_about(name: str) -> None:
    plan = plan_of([*fields(email="string"), Field(name, TEXT)])
    assert any(f"column {name!r} has no effect" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Invitee Email", "email"),
        ("What's your email address?", "email"),
        ("Contact.Phones.ContactPhone.number", "phone_number"),
        ("What is your first name?", "first_name"),
        ("Guest GUID", "external_id"),
        ("id_customer", "external_id"),
        ("Invitee Name", "first_name"),
        ("Addresses - Address Line 1", "location.address1"),
        ("Billing State/Province", "location.region"),
        ("Billing Addr City", "location.city"),
    ],
)
def test_the_last_words_of_a_name_are_asked_about(name: str, field: str) -> None:
    plan = plan_of([*fields(_kx="string"), Field(name, TEXT)])
    (note,) = [one for one in plan.notes if one.column == name]
    assert (note.sure, dict(plan.mapped)[name]) == (Sure.ASK, f"properties.{name}")
    assert f'"{field}":' in note.warning


@pytest.mark.parametrize("name", ["has_email", "last_email", "hashed_phone", "store_id", "order_state", "page_title"])
def test_other_last_words_say_nothing(name: str) -> None:
    plan = plan_of([*fields(_kx="string"), Field(name, TEXT)])
    assert [one for one in plan.notes if one.column == name] == []


KNOWN = sorted({name for sure in (Sure.CERTAIN, Sure.LIKELY, Sure.ASK) for _, _, name in names_of(sure)})
SPELLED = st.sampled_from([*KNOWN, *SECRETS, "Email", "E-Mail", "Email.1", "tier", "Default Address City", "User.Zip"])


@given(st.lists(SPELLED, unique=True, max_size=12), st.randoms(use_true_random=False))
def test_a_mapping_does_not_depend_on_the_order_of_columns(names: list[str], chance: random.Random) -> None:
    columns = [Field(name, TEXT) for name in ("_kx", *names)]
    mixed = chance.sample(columns, len(columns))
    assert outcome(columns) == outcome(mixed)


def outcome(columns: list[Field]) -> tuple[object, ...]:
    try:
        plan = plan_of(columns)
    except SchemaError as error:
        return ("refused", *sorted(error.complaints))
    return (dict(plan.mapped), sorted(plan.warnings), plan.record)


@given(
    st.lists(SPELLED, unique=True, max_size=8), st.sampled_from(SECRETS), st.sampled_from(["", "customer_", "user."])
)
def test_no_secret_leaves(names: list[str], secret: str, prefix: str) -> None:
    columns = [Field(prefix + name, TEXT) for name in ("_kx", "tier", "level", *names, secret)]
    columns = list({column.name: column for column in columns}.values())
    try:
        plan = plan_of(columns, fields={"_kx": prefix + "_kx"})
    except SchemaError:
        return
    assert dict(plan.mapped)[prefix + secret] == "dropped"


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_names_at_all_are_read(names: list[str]) -> None:
    ColumnNames(find_template("bulk_import_profiles"), (), names)
    assert all(bare(bare(name)) == bare(name) for name in names)
