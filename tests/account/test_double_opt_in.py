"""A list with double opt-in: preview, check and report say that people are on it once they have confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from spark_klaviyo import check_klaviyo
from spark_klaviyo.account.target import named_target, opt_in_warnings, read_target, resolve
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.task.running import plan_for

SUBSCRIBE = {"template": "bulk_subscribe_profiles", "channels": "email"}


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(lists={"Y6nRLr": "Newsletter", "Abc123": "Rest"}) as running:
        running.lists["Y6nRLr"].opt_in_process = "double_opt_in"
        yield running


def given(klaviyo: KlaviyoSimulator, **more: str) -> dict[str, Any]:
    key = f"pk_{klaviyo.url.rpartition(':')[2]}_opt_in"
    return {"api_key": key, "base_url": klaviyo.url, **SUBSCRIBE, **more}


@pytest.mark.parametrize("list_id", ["Y6nRLr", "name:Newsletter"])
def test_the_list_is_named_with_its_opt_in_process(klaviyo: KlaviyoSimulator, list_id: str) -> None:
    options = resolve(options_at(EntryPoint.FUNCTION, given(klaviyo, list_id=list_id)))
    plan = named_target(plan_for(klaviyo, ["email"], **SUBSCRIBE, list_id="Y6nRLr"), options)
    assert str(plan.target).endswith("list Newsletter (double opt-in)")
    assert any("asks people to confirm (double opt-in)" in warning for warning in plan.warnings)
    checked = check_klaviyo(**given(klaviyo, list_id=list_id))
    assert "double opt-in" in str(checked)


def test_a_list_with_single_opt_in_and_imports_need_no_words(klaviyo: KlaviyoSimulator) -> None:
    single = options_at(EntryPoint.FUNCTION, given(klaviyo, list_id="Abc123"))
    assert not read_target(single).double_opt_in
    history = options_at(EntryPoint.FUNCTION, given(klaviyo, list_id="Y6nRLr", historical_import="true"))
    assert opt_in_warnings(history, read_target(history)) == []
    added = {**given(klaviyo, list_id="Y6nRLr"), "template": "add_profiles_to_list"}
    del added["channels"]
    assert not read_target(options_at(EntryPoint.FUNCTION, added)).double_opt_in
