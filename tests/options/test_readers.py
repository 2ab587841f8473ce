"""Each reader takes what it says, as text or as a Python value, and nothing else."""

from __future__ import annotations

from http import HTTPMethod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.hosts import is_loopback
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.options import addresses, readers
from spark_klaviyo.options.addresses import Unreadable
from spark_klaviyo.options.choices import Nulls, Progress
from spark_klaviyo.options.model import BY_NAME
from spark_klaviyo.options.readers import Reader

pytestmark = pytest.mark.oldest

LIST = ["a", " b "]


@pytest.mark.parametrize(
    ("reader", "given", "value"),
    [
        (readers.yes_no, "TRUE", True),
        (readers.yes_no, " false ", False),
        (readers.yes_no, True, True),
        (readers.whole(1, 10_000), "10000", 10_000),
        (readers.whole(1), 7.0, 7),
        (readers.seconds, "0.5", 0.5),
        (readers.seconds, 60, 60.0),
        (readers.ceiling, "2%", "2%"),
        (readers.ceiling, "2.50 %", "2.5%"),
        (readers.ceiling, 100, "100"),
        (readers.ceiling, "1000000", "1000000"),
        (readers.ceiling, 0, "0"),
        (readers.OneOf((HTTPMethod.POST, HTTPMethod.PUT)), "put", HTTPMethod.PUT),
        (readers.OneOf(Nulls), "Send", Nulls.SEND),
        (BY_NAME["progress"].reader, False, Progress.NEVER),
        (BY_NAME["progress"].reader, "On", Progress.ALWAYS),
        (readers.rate, "auto", None),
        (readers.rate, "none", Quota(())),
        (readers.rate, "150/m, 10/s", Quota(((10, 1.0), (150, 60.0)))),
        (readers.rate, "1000/d", Quota(((1000, 86_400.0),))),
        (readers.columns, "a, b", ("a", "b")),
        (readers.columns, '["a", "b,c"]', ("a", "b,c")),
        (readers.columns, LIST, ("a", "b")),
        (readers.mapping, '{"email": "mail"}', {"email": "mail"}),
        (readers.mapping, {"location.city": "town"}, {"location.city": "town"}),
        (readers.headers, '{"X-A": "b, c"}', {"X-A": "b, c"}),
        (readers.headers, "X-A:b:c, X-D: e", {"X-A": "b:c", "X-D": "e"}),
        (readers.headers, {"X-Count": 3}, {"X-Count": "3"}),
        (readers.country, "us", "US"),
        (readers.country, "Column: land ", "column:land"),
        (readers.revision, "2026-10-15.pre", "2026-10-15.pre"),
        (readers.verbatim, " {rows} ", " {rows} "),
        (readers.verbatim, {"a": "{rows}"}, '{"a": {rows}}'),
        (addresses.base_url, "https://a.klaviyo.com/", "https://a.klaviyo.com"),
        (addresses.base_url, "http://[::1]:8080", "http://[::1]:8080"),
        (addresses.complete_url, "https://a.b/c/{id}?d=e", "https://a.b/c/{id}?d=e"),
        (addresses.proxy, "http://user:word@proxy:3128", "http://user:word@proxy:3128"),
        (addresses.place, Path("/x/y"), "/x/y"),
        (addresses.place, "TABLE: a.b.c", "table:a.b.c"),
        (addresses.place, "s3://bucket/x", "s3://bucket/x"),
    ],
)
def test_a_reader_reads_text_and_values_alike(reader: Reader, given: object, value: object) -> None:
    assert reader(given) == value


@pytest.mark.parametrize(
    ("reader", "given", "expected"),
    [
        (readers.yes_no, "yes", "true or false"),
        (readers.yes_no, 1, "true or false"),
        (readers.whole(1, 10_000), "10001", "a whole number from 1 to 10,000"),
        (readers.whole(1), "0", "a whole number, 1 or more"),
        (readers.whole(1), True, "a whole number, 1 or more"),
        (readers.whole(1), "1.5", "a whole number, 1 or more"),
        (readers.whole(1), "nan", "a whole number, 1 or more"),
        (readers.seconds, "0", "a number of seconds above 0"),
        (readers.seconds, "inf", "a number of seconds above 0"),
        (readers.seconds, [1], "a number of seconds above 0"),
        (readers.ceiling, "101%", "a whole number or a percentage from 0% to 100%"),
        (readers.ceiling, "-1", "a whole number or a percentage from 0% to 100%"),
        (readers.ceiling, "1.5", "a whole number or a percentage from 0% to 100%"),
        (readers.ceiling, "2%3", "a whole number or a percentage from 0% to 100%"),
        (readers.OneOf(Nulls), "keep", "one of omit, send"),
        (readers.rate, "10", "auto, none, or requests per unit such as 10/s,150/m"),
        (readers.rate, "0/s", "auto, none, or requests per unit such as 10/s,150/m"),
        (readers.rate, "1/s,2/s", "auto, none, or requests per unit such as 10/s,150/m"),
        (readers.columns, "a,,b", "names of columns, comma-separated"),
        (readers.columns, 3, "names of columns, comma-separated"),
        (readers.mapping, '["email"]', 'a JSON object of field path and column name, such as {"email": "mail"}'),
        (readers.mapping, '{"email": 1}', 'a JSON object of field path and column name, such as {"email": "mail"}'),
        (readers.headers, "{broken", "a JSON object, or Name:value,Name2:value2"),
        (readers.country, "USA", "a country's two letters (ISO 3166) or column:NAME"),
        (readers.revision, "today", "a date such as 2026-10-15, or 2026-10-15.pre"),
        (readers.text, "  ", "a text that is not empty"),
        (readers.secret, 5, "a key, or a reference such as env:NAME"),
        (addresses.base_url, "https://a.klaviyo.com/api", "scheme and host only, such as https://a.klaviyo.com"),
        (addresses.base_url, "a.klaviyo.com", "scheme and host only, such as https://a.klaviyo.com"),
        (addresses.proxy, "proxy:3128", "a proxy's URL such as http://proxy.example.com:3128"),
        (addresses.place, "table:a b", "a path, a URI or table:catalog.schema.name"),
        (addresses.directory, "table:a", "a path or a URI"),
    ],
)
def test_a_reader_says_what_it_expects(reader: Reader, given: object, expected: str) -> None:
    with pytest.raises(Unreadable) as caught:
        reader(given)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.b/c",
        "https://",
        "https://{host}/x",
        "https://u:p@a.b/c",
        "https://a.b/c#d",
        "https://a.b/c d",
        "//a.b",
        3,
    ],
)
def test_a_url_that_could_lead_elsewhere_is_refused(url: object) -> None:
    with pytest.raises(Unreadable):
        addresses.complete_url(url)


@pytest.mark.parametrize(
    ("name", "value"),
    [("A B", "c"), ("", "c"), ("X", "a\r\nEvil: b"), ("X", "é"), ("Host", "evil"), ("content-length", "1")],
)
def test_a_header_that_would_break_the_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(Unreadable):
        readers.header(name, value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("x.localhost", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("a.b", False),
    ],
)
def test_only_loopback_counts_as_staying_on_the_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@given(st.integers(), st.integers(-5, 5), st.integers(6, 50))
def test_a_whole_number_is_taken_exactly_within_its_bounds(number: int, least: int, most: int) -> None:
    try:
        assert readers.whole(least, most)(str(number)) == number
        taken = True
    except Unreadable:
        taken = False
    assert taken is (least <= number <= most)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(anything)
def test_whatever_is_given_a_reader_reads_it_or_says_what_it_expects(given: object) -> None:
    every = [readers.text, readers.verbatim, readers.yes_no, readers.whole(0), readers.seconds, readers.ceiling]
    every += [readers.rate, readers.columns, readers.mapping, readers.headers, readers.country, readers.revision]
    every += [addresses.base_url, addresses.complete_url, addresses.proxy, addresses.place, readers.secret]
    for reader in every:
        try:
            reader(given)
        except Unreadable as error:
            assert str(error)


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/Volumes/a/b", "/Volumes/a/b"),
        ("table:main.crm.rejects", "table:main.crm.rejects"),
        ("s3://id:secret@bucket/rejects", "s3://bucket/rejects"),
        ("https://a.blob.net/c?sig=secret", "https://a.blob.net/c"),
        ("abfss://crm@account.dfs.core.windows.net/x", "abfss://crm@account.dfs.core.windows.net/x"),
        ("abfss://crm:secret@account.dfs.core.windows.net/x", "abfss://account.dfs.core.windows.net/x"),
    ],
)
def test_a_place_is_shown_without_a_stores_secrets(place: str, shown: str) -> None:
    assert addresses.shown_place(place) == shown
