"""Keys stay covered whatever is done with them, and references lead to them."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.secrets import MASK, Credentials, Secret
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.secrets import is_reference, read_secret

pytestmark = pytest.mark.oldest

keys = st.from_regex(r"Q[A-Za-z0-9_]{8,40}Q", fullmatch=True)


@given(keys)
def test_no_way_of_printing_shows_a_secret(key: str) -> None:
    secret = Secret(key)
    credentials = Credentials(secret, secret)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>80}", f"{secret!r}", f"{secret} {secret!r}"]
    shown += [repr(credentials), str(dataclasses.asdict(credentials)), repr([secret]), repr({"api_key": secret})]
    assert all(key not in text and MASK in text for text in shown)


def test_a_secret_is_no_string_that_a_library_could_write_out() -> None:
    assert not isinstance(Secret("k"), str)
    with pytest.raises(TypeError):
        json.dumps({"api_key": Secret("k")})


@given(keys)
def test_a_secret_survives_pickling_and_copying(key: str) -> None:
    credentials = Credentials(Secret(key))
    again: Credentials = pickle.loads(pickle.dumps(credentials))
    assert again == credentials == copy.deepcopy(credentials)
    assert again.api_key is not None
    assert again.api_key.reveal() == key


def test_secrets_are_equal_by_value_and_never_to_text() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")


def test_an_environment_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", " pk_from_the_environment\n")
    assert read_secret("api_key", "env:SOME_KEY").reveal() == "pk_from_the_environment"
    assert read_secret("api_key", " ENV: SOME_KEY ").reveal() == "pk_from_the_environment"


def test_a_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("pk_from_a_file\n")
    assert read_secret("access_token", f"file:{tmp_path / 'key'}").reveal() == "pk_from_a_file"


def test_a_databricks_secret_is_asked_of_dbutils(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {("klaviyo", "key"): "pk_from_databricks"}
    secrets = SimpleNamespace(get=lambda scope, key: held[scope, key])
    monkeypatch.setattr(sys.modules["__main__"], "dbutils", SimpleNamespace(secrets=secrets), raising=False)
    assert read_secret("api_key", "secret:klaviyo/key").reveal() == "pk_from_databricks"
    with pytest.raises(OptionError, match=r"secret:klaviyo/other: Databricks refused it"):
        read_secret("api_key", "secret:klaviyo/other")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:NO_SUCH_VARIABLE", "no such environment variable in the calling process"),
        ("env:", "must name the variable, as env:KLAVIYO_API_KEY does"),
        ("file:", "must name the file, as file:/run/secrets/klaviyo does"),
        ("file:/no/such/file", "no such file or directory"),
        ("file:/", "is a directory"),
        ("file:~nobody-of-this-name/key", "is no readable text file"),
        ("secret:scope", "must be secret:SCOPE/KEY"),
        ("secret:scope/key", "Databricks' dbutils was not found here; use env:NAME or file:PATH"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(reference: str, reason: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_secret("api_key", reference)
    assert caught.value.complaints == (f"api_key: {reference}: {reason}",)


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"two words", b"two\nlines", b"k\xc3\xa9y", b"\xff\xfe", b"k" * 20_000]
)
def test_what_cannot_be_a_key_is_refused_without_being_quoted(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(OptionError) as caught:
        read_secret("api_key", f"file:{tmp_path / 'key'}")
    chain: list[Any] = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert chain[1:] == [None, None]
    assert "two" not in str(caught.value).replace(str(tmp_path), "")
    assert "kkk" not in str(caught.value)


def test_a_key_put_where_a_name_belongs_is_covered() -> None:
    with pytest.raises(OptionError) as caught:
        read_secret("api_key", "env:pk_this_is_the_key")
    assert "this_is" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("env:A", True), ("File:/a", True), ("secret:a/b", True), ("pk_1", False), ("env", False)]
)
def test_references_are_told_from_keys(text: str, expected: bool) -> None:
    assert is_reference(text) is expected
