"""The table of options holds together with what is made of it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from spark_klaviyo.options.model import OPTIONS, Options, normalized
from spark_klaviyo.options.option import Mode, Option
from spark_klaviyo.templates import templates

pytestmark = pytest.mark.oldest

OWN = {"entry_point", "settings", "given", "shown", "warnings"}


def test_every_option_of_the_table_is_an_attribute_and_no_other() -> None:
    names = {option.name for option in OPTIONS}
    assert {field.name for field in fields(Options)} - OWN == names


def test_no_two_options_share_a_spelling() -> None:
    assert len({normalized(option.name) for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_explains_itself_and_can_read_its_own_default(option: Option) -> None:
    assert option.help
    assert option.mode is not Mode.NEITHER
    assert option.default is None or option.default_value is not None or option.default == "auto"


def test_no_template_calls_a_setting_as_an_option_is_called() -> None:
    settings = {normalized(setting.name) for template in templates() for setting in template.settings}
    assert settings & {normalized(option.name) for option in OPTIONS} == set()
