"""Options that are wrong and hold a secret: complaints never quote it back."""

from __future__ import annotations

import pytest

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.parse import read_options

KEY = "pk_live_0123456789abcdef"
TOKEN = "eyJhbGciOi1JUzI1NiIsInR5cCI6Ikp9XVCJ9"
PLAIN = "correct-horse"
BASE = {"template": "bulk_import_profiles", "api_key": "pk_test_key"}


@pytest.mark.parametrize("secret", [KEY, TOKEN])
@pytest.mark.parametrize(
    "name",
    ["api_ke", "acces_token", "apikeys", "key_in", "template", "list_id", "max_rows", "api", "tasks", "nulls", "url"],
)
def test_no_wrong_option_is_quoted_back_where_it_holds_a_key(name: str, secret: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_options({**BASE, name: secret, "tasks": "no number" if name != "tasks" else secret}, EntryPoint.FUNCTION)
    text = f"{caught.value!s} {caught.value!r} {caught.value.complaints}"
    assert secret not in text
    assert secret[:20] not in text


@pytest.mark.parametrize("secret", [KEY, TOKEN])
def test_a_key_that_is_given_as_a_name_is_not_quoted_either(secret: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_options({**BASE, secret: "api_key"}, EntryPoint.FUNCTION)
    assert secret not in str(caught.value)


def test_what_an_unknown_option_holds_is_covered_wherever_it_stands() -> None:
    with pytest.raises(OptionError) as caught:
        read_options({**BASE, "api_ke": PLAIN, "key_in": PLAIN}, EntryPoint.FUNCTION)
    assert PLAIN not in str(caught.value)
    assert "did you mean api_key" in str(caught.value)


def test_the_key_of_the_environment_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", PLAIN)
    with pytest.raises(OptionError) as caught:
        read_options({"template": "bulk_import_profiles", "key_in": PLAIN}, EntryPoint.FUNCTION)
    assert PLAIN not in str(caught.value)


@pytest.mark.parametrize("plain", ["add_profiles_to_lists", "customer_lifetime_value_2024", "2026-10-15.prerelease"])
def test_what_is_no_secret_is_quoted(plain: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_options({**BASE, "nulls": plain}, EntryPoint.FUNCTION)
    assert plain in str(caught.value)
