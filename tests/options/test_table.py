"""The table of options holds together with what is made of it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.table import OPTIONS, REVISION, Option, plain
from spark_klaviyo.templates import PINNED, templates

pytestmark = pytest.mark.oldest

OWN = {"entry_point", "settings", "credentials", "given", "shown", "warnings"}
SPENT = {"api_key", "access_token"}  # they become credentials


def test_every_option_of_the_table_is_an_attribute_and_no_other() -> None:
    names = {option.name for option in OPTIONS}
    assert {field.name for field in fields(Options)} - OWN == names - SPENT


def test_no_two_options_share_a_spelling() -> None:
    assert len({plain(option.name) for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_explains_itself_and_can_read_its_own_default(option: Option) -> None:
    assert option.help
    assert option.mode in ("template", "manual", "both")
    assert option.entry_points <= set(EntryPoint)
    if option.default is not None:
        option.reader(option.default)


def test_no_template_calls_a_setting_as_an_option_is_called() -> None:
    settings = {plain(setting.name) for template in templates() for setting in template.settings}
    assert settings & {plain(option.name) for option in OPTIONS} == set()


def test_the_default_revision_is_the_one_that_templates_are_written_for() -> None:
    assert REVISION == PINNED
