"""Options are read alike in every spelling, and everything wrong is said at once and without a secret."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.codes import Api
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.core.secrets import Credentials, Secret
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.choices import Nulls, OtherColumns, Validate
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import OPTIONS
from tests.options.catalog import KEY, complaints, complaints_of, read, read_all, to_list

pytestmark = pytest.mark.oldest


def test_defaults_are_those_of_the_table() -> None:
    options = read(**to_list())
    assert (options.template, options.api, options.url) == ("add_profiles_to_list", Api.CURRENT, "")
    assert (options.tasks, options.workers, options.attempts) == (8, 4, 8)
    assert (options.timeout_seconds, options.longest_wait_seconds, options.job_timeout_seconds) == (60.0, 120.0, 3600.0)
    assert (options.base_url, options.revision) == ("https://a.klaviyo.com", "2026-10-15")
    assert (options.max_rows, options.max_bytes, options.rate_limit) == (None, None, None)
    assert (options.validate, options.nulls) == (Validate.STRICT, Nulls.OMIT)
    assert options.other_columns is OtherColumns.PROPERTIES
    assert options.batch_mode
    assert options.wait_for_jobs
    assert not options.allow_http
    assert options.settings == {"list_id": "Y6nRLr"}
    assert options.given == {"template", "list_id", "api_key"}


def test_values_may_be_text_everywhere() -> None:
    typed = read(**to_list(max_rows=500, batch_mode=True, fields={"email": "mail"}, timeout_seconds=5, max_rejects=7))
    texts = read(
        **to_list(max_rows="500", batch_mode="true", fields='{"email":"mail"}', timeout_seconds="5", max_rejects="7")
    )
    assert typed == texts


def spellings(name: str) -> st.SearchStrategy[str]:
    """Spellings of a name: any case, with or without the marks between words."""
    letters = [st.sampled_from([letter.lower(), letter.upper()]) for letter in name if letter != "_"]
    mark = st.sampled_from(["", "_", "-", "."])
    return st.tuples(*(st.tuples(letter, mark).map("".join) for letter in letters)).map("".join)


SOME = {
    "max_rows": "17",
    "batch_mode": "true",
    "validate": "warn",
    "rate_limit": "10/s",
    "list_id": "L",
    "api_key": KEY,
}


@given(st.fixed_dictionaries({name: spellings(name) for name in SOME}))
def test_any_spelling_of_a_name_reads_the_same(spelled: dict[str, str]) -> None:
    plainly = read_all({"template": "add_profiles_to_list", **SOME})
    assert plainly == read_all({"template": "add_profiles_to_list"} | {spelled[name]: SOME[name] for name in SOME})


def test_headers_come_one_by_one_or_together() -> None:
    given = {"url": "https://a.klaviyo.com/c", "headers": "X-A:1", "header.X-B": "2", "HEADER.x-c": 3, "api_key": KEY}
    assert read_all(given).headers == {"X-A": "1", "X-B": "2", "x-c": "3"}


def test_none_is_as_good_as_not_given() -> None:
    assert read(**to_list(max_rows=None, url=None)) == read(**to_list())


def test_one_option_in_two_spellings_is_a_complaint() -> None:
    assert complaints(**to_list(max_rows=1, maxRows=2)) == ("max_rows: is given twice, as max_rows and maxRows",)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(OptionError) as caught:
        read_all({"template": "add_profiles_to_list", "maxrow": 3, "max_rows": "0", "api_key": "env:NO_SUCH_VARIABLE"})
    several = "id of the list the profiles are added to (several: comma-separated)"
    assert str(caught.value).splitlines() == [
        "cannot write to Klaviyo:",
        "  max_rows: must be a whole number from 1 to 10,000, not '0'",
        "  maxrow: no such option (did you mean max_rows?)",
        f"  list_id: is required by template add_profiles_to_list: {several}",
        "  api_key: env:NO_SUCH_VARIABLE: no such environment variable in the calling process",
    ]


def test_an_unknown_name_gets_the_nearest_of_table_and_template() -> None:
    assert complaints(**to_list(lst_id="x")) == ("lst_id: no such option (did you mean list_id?)",)
    assert complaints(**to_list(quux="x")) == ("quux: no such option",)
    assert complaints(**to_list(path="/x"))[0].startswith("path: rows go to Klaviyo, not to a path")


def test_what_spark_adds_to_a_streaming_query_is_no_option_of_ours() -> None:
    sparks = {"checkpointlocation": "/x", "queryname": "q", "api_key": Secret(KEY)}
    assert read_all(to_list(**sparks), EntryPoint.STREAM).given == {"template", "list_id", "api_key"}
    assert len(complaints(**to_list(checkpointlocation="/x"))) == 1


def test_limits_are_those_of_the_endpoint() -> None:
    assert read(**to_list(max_rows=10_000, max_bytes=5_000_000)).max_rows == 10_000
    assert complaints(**to_list(max_rows=10_001, max_bytes="5000001")) == (
        "max_rows: must be a whole number from 1 to 10,000, not 10001",
        "max_bytes: must be a whole number from 1 to 5,000,000, not '5000001'",
    )
    assert read(url="https://a.klaviyo.com/c", max_rows=50_000).max_rows == 50_000
    assert read(**to_list(api="v2", max_rows=500)).max_rows == 500


def test_a_rate_limit_of_ones_own_is_a_quota() -> None:
    assert read(**to_list(rate_limit="150/m,10/s")).rate_limit == Quota(((10, 1.0), (150, 60.0)))


def test_options_are_frozen_and_survive_pickling() -> None:
    options = read(**to_list(headers={"X": "y"}, fields={"email": "e"}))
    assert pickle.loads(pickle.dumps(options)) == options
    with pytest.raises(FrozenInstanceError):
        options.tasks = 3  # type: ignore[misc]


def test_what_may_be_kept_is_what_was_given_without_secrets() -> None:
    options = read_all(
        {
            "url": "https://a.klaviyo.com/api/v1/people?api_key=pk_very_secret",
            "headers": {"X-Token": "hidden-token"},
            "body": '{"token": "hidden-body"}',
            "proxy": "http://me:hidden-word@proxy:3128",
            "rejects_path": "s3://id:hidden-id@bucket/x",
            "batch_mode": False,
        }
    )
    assert options.shown == {
        "url": "https://a.klaviyo.com/api/v1/people",
        "key_in": "query",
        "headers": "X-Token: ********",
        "body": "********",
        "proxy": "http://proxy:3128",
        "rejects_path": "s3://bucket/x",
        "batch_mode": "false",
    }


secrets = st.from_regex(r"[A-Z]Q[a-z0-9]{8,30}Q", fullmatch=True)
entry_points = st.sampled_from(EntryPoint)
names = st.sampled_from([option.name for option in OPTIONS if option.hidden] + ["header.X-Key", "header.b d"])
anywhere = st.sampled_from([option.name for option in OPTIONS] + ["list_id", "nope", "header.X"])


@given(secrets, entry_points, names, st.booleans(), st.dictionaries(anywhere, st.text(max_size=10), max_size=4))
def test_no_error_and_no_repr_shows_a_secret(
    secret: str, entry_point: EntryPoint, name: str, recorded: bool, others: dict[str, str]
) -> None:
    given: dict[str, Any] = {"list_id": "L", "template": "add_profiles_to_list", **others, name: secret}
    try:
        options = read_all(given, entry_point, recorded=recorded)
    except OptionError as error:
        assert secret not in str(error)
        assert secret not in repr(error)
    else:
        assert secret not in repr(options)
        assert secret not in str(options.shown)


@given(st.from_regex(r"pk_[a-f0-9]{20,34}", fullmatch=True), anywhere)
def test_a_private_key_in_any_option_is_covered(key: str, name: str) -> None:
    given: dict[str, Any] = {"list_id": "L", "template": "add_profiles_to_list", "api_key": KEY, name: key}
    assert key not in str(complaints_of(given))
    assert key not in str(complaints_of({**given, key: "x"}))


def test_a_token_is_taken_instead_of_a_key() -> None:
    options = read_all(to_list(access_token="a-token"))
    assert options.credentials == Credentials(None, Secret("a-token"))
    assert complaints(**to_list(access_token="a-token")) == (
        "access_token: is given besides api_key; give one of them",
    )
    assert complaints_of(to_list(api="v2", access_token="a-token")) == (
        "access_token: the retired v1 and v2 calls take api_key only",
    )


def test_the_environment_gives_the_key_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    assert read_all(to_list()).credentials == Credentials(Secret(KEY))
    assert read_all({"url": "https://a.b/c", "key_in": "none"}).credentials == Credentials()


def test_without_a_key_only_a_preview_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)
    assert read_all(to_list(), EntryPoint.PREVIEW).credentials == Credentials()
    for entry_point in set(EntryPoint) - {EntryPoint.PREVIEW}:
        assert complaints_of(to_list(), entry_point)[0].startswith("api_key: is required: set the environment variable")


def test_a_literal_key_is_refused_where_spark_or_a_process_list_would_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    [recorded] = complaints(EntryPoint.SOURCE, recorded=True, **to_list())
    assert "rotate this key" in recorded
    assert "register(spark, api_key=...)" in recorded
    assert complaints(EntryPoint.STREAM, **to_list()) == (recorded,)
    [listed] = complaints(EntryPoint.COMMAND, **to_list())
    assert listed.startswith("api_key: a process list shows arguments")
    assert complaints(EntryPoint.SOURCE, **to_list()) == ()
    for bound in ("env:SOME_KEY", Secret(KEY)):
        assert read_all(to_list(api_key=bound), EntryPoint.STREAM).credentials == Credentials(Secret(KEY))


def test_a_key_inside_another_option_is_refused_there_too() -> None:
    given = {"url": f"https://a.klaviyo.com/c?token={KEY}", "key_in": "none"}
    assert complaints_of(given) == ()
    assert [line.split(":")[0] for line in complaints_of(given, EntryPoint.COMMAND)] == ["url"]
