"""No message about something else proposes an option that would subscribe, remove or delete people."""

from __future__ import annotations

import re

import pytest

from spark_klaviyo.core.codes import Api
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, Type, read_type
from spark_klaviyo.templates import find_template, templates

# Options that let people be subscribed, taken off lists, or deleted.
HARM = re.compile(r"other_columns=drop|validate=(off|warn)|on_delete=|list_mode=mirror|resubscribe|everywhere|confirm_")
CARE = sorted((one.name, str(one.api)) for one in templates() if one.needs_care and not one.raw_rows)
STRANGE = [Field(name, Type("string")) for name in ("accepts_marketing", "unsubscribed_at", "note")]


@pytest.mark.parametrize(("template", "api"), CARE)
@pytest.mark.parametrize("other_columns", [None, "error"])
def test_columns_without_a_place_are_not_advised_away(template: str, api: str, other_columns: str | None) -> None:
    found = find_template(template, Api(api))
    settings: dict[str, object] = {
        one.name: one.choices[0] if one.choices else "x" for one in found.settings if one.required
    }
    given = {"template": template, "api": api, "api_key": "pk_test_key", "channels": None, **settings}
    if found.consent:
        given |= {"channels": "email", "list_id": "Y6nRLr"}
    options = options_at(
        EntryPoint.FUNCTION, {**given, "confirm_deletion": 1 if found.deletes else None, "other_columns": other_columns}
    )
    nested = Field(
        "profile", read_type({"type": "struct", "fields": [{"name": "odd", "type": "string", "nullable": True}]})
    )
    with pytest.raises(SchemaError) as caught:
        make_plan(options, [Field("email", Type("string")), Field("id", Type("string")), *STRANGE, nested], "run")
    assert not HARM.search(str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"template": "bulk_import_profile"}, "template"),
        ({"template": "profiles_bulk"}, "template"),
        ({"template": "suppress_profiles"}, "template"),
        ({"template": "remove_people"}, "template"),
        ({"template": "merge"}, "template"),
        ({"template": "add_profiles_to_list", "list_id": "x", "max_removals": 5}, "max_removals"),
        ({"template": "add_profiles_to_list", "list_id": "x", "confirm_deletion": 5}, "confirm_deletion"),
        ({"template": "bulk_import_profiles", "change_column": "c", "on_delete": "remove"}, "on_delete"),
    ],
)
def test_no_refusal_of_options_proposes_harm(given: dict[str, object], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        options_at(EntryPoint.FUNCTION, {"api_key": "pk_test_key", **given})
    (complaint,) = caught.value.complaints
    assert complaint.startswith(f"{option}: ")
    assert not re.search(
        r"give .*(delete|mirror|suppress)|did you mean.*(subscribe|suppress|remove|delet|merge)", complaint
    )


def test_a_slip_of_the_finger_is_still_told_the_name() -> None:
    with pytest.raises(OptionError, match="did you mean bulk_subscribe_profiles"):
        find_template("bulk_subscribe_profile")
