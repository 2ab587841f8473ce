"""Whose account a write goes to: compared where the caller says so, named where the key may read it, and read once."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from spark_klaviyo import follow_klaviyo
from spark_klaviyo.account import target
from spark_klaviyo.account.target import named_target, read_target, require_account, resolve
from spark_klaviyo.cli.main import main
from spark_klaviyo.core.models import Target
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.task.running import plan_for

LIST = {"template": "add_profiles_to_list", "list_id": "Y6nRLr"}
IMPORT = {"lists:write", "profiles:write"}


def options(klaviyo: KlaviyoSimulator, **given: object) -> Options:
    key = f"pk_{klaviyo.url.rpartition(':')[2]}_{time.monotonic_ns()}"  # no key is remembered from another test
    return options_at(EntryPoint.FUNCTION, {"api_key": key, "base_url": klaviyo.url, **LIST, **given})


def paths(klaviyo: KlaviyoSimulator) -> list[str]:
    return [request.path for request in klaviyo.requests]


# --- the option account_id --------------------------------------------------------------------------


def test_the_account_that_is_expected_is_written_to() -> None:
    with KlaviyoSimulator() as klaviyo:
        given = options(klaviyo, account_id=klaviyo.account.id)
        assert resolve(given).settings == given.settings
        require_account(given)
        assert paths(klaviyo) == ["/api/accounts"]  # once for the key
        require_account(options(klaviyo))
        assert paths(klaviyo) == ["/api/accounts"]


def test_any_other_account_is_refused_with_both_named() -> None:
    with KlaviyoSimulator(account="Acme") as klaviyo:
        with pytest.raises(OptionError) as caught:
            require_account(options(klaviyo, account_id="Xy12Ab"))
        assert f"the account Acme ({klaviyo.account.id}), and Xy12Ab is expected" in str(caught.value)


def test_a_key_that_may_not_say_whose_it_is_is_refused() -> None:
    with (
        KlaviyoSimulator(api_keys={"pk_narrow": IMPORT}) as klaviyo,
        pytest.raises(OptionError, match="accounts:read"),
    ):
        require_account(options(klaviyo, api_key="pk_narrow", account_id="Xy12Ab"))


def test_nothing_of_another_account_is_followed_or_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with KlaviyoSimulator(account="Acme") as klaviyo:
        where = {"base_url": klaviyo.url, "account_id": "Xy12Ab"}
        with pytest.raises(OptionError, match="Xy12Ab is expected"):
            follow_klaviyo("/nowhere", api_key="pk_test_key", **where)
        monkeypatch.setenv("A_KEY", "pk_test_key")
        given = [f"--option={name}={value}" for name, value in {**where, "api_key": "env:A_KEY"}.items()]
        assert main(["lists", *given]) == 2
        assert "Newsletter" not in capsys.readouterr().out
        assert set(paths(klaviyo)) == {"/api/accounts"}


def test_a_refused_key_and_an_address_without_an_answer_stop_the_write() -> None:
    with KlaviyoSimulator(api_keys=["pk_other"]) as klaviyo:
        given = options(klaviyo, account_id="Xy12Ab")
        with pytest.raises(WriteStopped, match="refuses this key") as caught:
            require_account(given, "r1")
        assert caught.value.report is not None
        assert caught.value.report.run_id == "r1"
    with pytest.raises(WriteStopped, match="nothing was sent"):
        require_account(options_at(EntryPoint.FUNCTION, {**LIST, **_nowhere(), "account_id": "Xy12Ab", "attempts": 1}))


@pytest.mark.parametrize("where", [{"key_in": "none"}, {"url": "http://127.0.0.1:9/sink"}])
def test_an_address_that_cannot_say_it_is_refused(where: dict[str, str]) -> None:
    given = {"url": "https://a.klaviyo.com/api/profiles", "api_key": "pk_test_key", "account_id": "Xy12Ab", **where}
    with pytest.raises(OptionError, match="account_id: requests to this address carry no key"):
        require_account(options_at(EntryPoint.FUNCTION, given))


@pytest.mark.parametrize("given", ["abc", "Xy12Abc", "Xy-2Ab", "Acme Shop", 12345])
def test_an_account_id_is_six_letters_and_digits(given: object) -> None:
    with pytest.raises(OptionError, match="account_id: must be the public id of an account: six letters and digits"):
        options_at(EntryPoint.FUNCTION, {**LIST, **_nowhere(), "account_id": given})


# --- names ------------------------------------------------------------------------------------------


def test_account_and_list_are_named_and_read_once() -> None:
    with KlaviyoSimulator(account="Acme") as klaviyo:
        given = options(klaviyo)
        found = read_target(given)
        assert found == Target("Acme", klaviyo.account.id, "Newsletter")
        assert str(found) == f"Acme ({klaviyo.account.id}), list Newsletter"
        assert read_target(given) == found
        assert paths(klaviyo) == ["/api/accounts", "/api/lists/Y6nRLr"]


def test_a_list_that_was_looked_up_by_name_is_not_read_again() -> None:
    with KlaviyoSimulator() as klaviyo:
        resolved = resolve(options(klaviyo, list_id="name:Newsletter"))
        assert read_target(resolved).list_name == "Newsletter"
        assert [path for path in paths(klaviyo) if path.startswith("/api/lists/")] == []


def test_a_key_that_may_not_read_them_asks_once_and_goes_on() -> None:
    with KlaviyoSimulator(api_keys={"pk_narrow": IMPORT}) as klaviyo:
        given = options(klaviyo, api_key="pk_narrow")
        for _ in range(3):
            assert read_target(given) == Target()
        assert sorted(paths(klaviyo)) == ["/api/accounts", "/api/lists/Y6nRLr"]


def test_reading_names_never_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "QUICK_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert read_target(options_at(EntryPoint.FUNCTION, {**LIST, **_nowhere(), "base_url": address})) == Target()
        assert time.monotonic() - began < 3
    with KlaviyoSimulator(faults=[Fault("status", status=429, retry_after=60)]) as klaviyo:
        began = time.monotonic()
        assert read_target(options(klaviyo)) == Target()
        assert time.monotonic() - began < 3


def test_nothing_is_read_where_no_key_goes() -> None:
    for given in ({"url": "http://127.0.0.1:9/sink"}, {"url": "https://a.klaviyo.com/api/profiles", "key_in": "none"}):
        read = options_at(EntryPoint.FUNCTION, {"api_key": "pk_test_key", **given})
        assert read_target(read) == Target()


def test_a_name_is_one_short_line_of_text() -> None:
    with KlaviyoSimulator(account="Acme\x1b[31m\nShop" + "x" * 200) as klaviyo:
        shown = read_target(options(klaviyo)).account
    assert shown.startswith("Acme [31m Shop")
    assert shown.isprintable()
    assert len(shown) == 100


def test_a_plan_holds_them_for_its_report() -> None:
    with KlaviyoSimulator() as klaviyo:
        plan = plan_for(klaviyo, ["email"], **LIST)
        assert named_target(plan, options(klaviyo)).target.account == "Simulated Shop"


def _nowhere() -> dict[str, Any]:
    return {"api_key": "pk_test_key", "base_url": "http://127.0.0.1:9"}
