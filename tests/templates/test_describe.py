"""A template says itself what it takes, and the README's table says the same."""

from __future__ import annotations

import pytest

from spark_klaviyo.core.codes import Api
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import BY_NAME
from spark_klaviyo.plan.model import RESUBSCRIBE
from spark_klaviyo.plan.settings import fields_of_settings
from spark_klaviyo.plan.shape import misfit
from spark_klaviyo.plan.types import Type
from spark_klaviyo.templates import CURRENT, LEGACY, describe, find_template, templates
from spark_klaviyo.templates.model import FieldForm, Template
from tests.docs import template_table

ALL = templates()


def _id(template: Template) -> str:
    return f"{template.name}-{template.api}"


@pytest.mark.parametrize("template", ALL, ids=_id)
def test_a_description_names_every_setting_column_limit_and_scope(template: Template) -> None:
    text = describe(template)
    for word in (
        template.summary,
        *(setting.name for setting in template.settings),
        *(known.name for known in template.fields),
        *template.scopes,
        *template.notes,
        template.confirmation.text,
        f"{template.limits.max_rows:,} row",
    ):
        assert word in text


@pytest.mark.parametrize("template", ALL, ids=_id)
def test_what_a_template_refers_to_is_there(template: Template) -> None:
    paths = [known.name for known in template.fields]
    referred = (*template.identifiers, *template.key, *template.key_with, *filter(None, [template.unique_id_field]))
    assert set(referred) <= set(paths)
    assert len(set(paths)) == len(paths)
    assert not {setting.name for setting in template.settings} & set(BY_NAME)
    per_row = {setting.name for setting in template.settings if setting.per_row}
    outside = {name for name in per_row if "{" + name + "}" in template.path + str(template.body)}
    assert per_row - {RESUBSCRIBE} == outside | (per_row & set(fields_of_settings(template)))


def test_the_table_has_a_row_for_each_template() -> None:
    rows = template_table().splitlines()[2:]
    assert len(rows) == len(ALL) == len(CURRENT) + len(LEGACY)
    assert any("10,000 rows, 5 MB, 100 KB a row | 10/s, 150/min" in row for row in rows)
    assert all(row.count("|") == 8 for row in rows)


@pytest.mark.parametrize("form", FieldForm)
def test_every_form_says_what_it_refuses(form: FieldForm) -> None:
    known = CURRENT["create_event"].fields[0]
    complaint = misfit(type(known)("x", ("x",), form), Type("interval"))
    assert complaint is not None


@pytest.mark.parametrize(
    ("name", "api", "word"),
    [
        ("add_profile_to_list", Api.CURRENT, "add_profiles_to_list"),
        ("track", Api.CURRENT, "api=v1"),
        ("track", Api.V2, "api=v1"),
        ("create_event", Api.V2, "give api=current"),
        ("nothing_like_it", Api.CURRENT, "lists them all"),
    ],
)
def test_a_name_that_is_none_is_told_with_what_to_do(name: str, api: Api, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        find_template(name, api)


def test_the_retired_form_is_another_template_of_the_same_name() -> None:
    assert find_template("add_profiles_to_list", Api.V2).path.startswith("/api/v2/")
    assert find_template("add_profiles_to_list").path == "/api/profile-bulk-import-jobs"
