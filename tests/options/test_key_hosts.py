"""The key goes to Klaviyo, to this machine and to hosts that the caller names, and to no look-alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo import check_klaviyo, follow_klaviyo, klaviyo_batch_writer, klaviyo_partition_writer
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import may_receive_key
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.parse import read_options

KEY = "pk_0123456789abcdef0123456789abcdef01"
IMPORT = {"template": "bulk_import_profiles", "api_key": KEY}
KLAVIYO = (
    "a.klaviyo.com",
    "A.Klaviyo.Com",
    "a.klaviyo.com:443",
    "x.y.klaviyo.com",
    "127.0.0.1:8080",
    "[::1]:9",
    "localhost",
)
LOOK_ALIKES = (
    "a.klavyio.com",
    "evilklaviyo.com",
    "klaviyo.com.evil.io",
    "a.klaviyo.com.evil.io",
    "a.klaviyo.com.",
    "a-klaviyo.com",
    "a.klaviyo.co",
    "xn--klaviyo-9ua.com",
    "a.kl\u0430viyo.com",
    "a\u3002klaviyo.com",
    "\uff41.klaviyo.com",
    "a.klaviyo.com%2eevil.io",
    "10.0.0.1",
    "2130706433",
    "127.1",
    "localhost.evil.io",
    "[::ffff:10.0.0.1]",
)
NEVER_READ = (
    "a.klaviyo.com@evil.io",
    "user:word@a.klaviyo.com",
    "evil.io#.klaviyo.com",
    "evil.io\\.klaviyo.com",
    "a b.klaviyo.com",
)


def complaints(entry_point: EntryPoint = EntryPoint.FUNCTION, /, **options: object) -> tuple[str, ...]:
    try:
        options_at(entry_point, options)
    except OptionError as error:
        return error.complaints
    return ()


@pytest.mark.parametrize("host", KLAVIYO)
@pytest.mark.parametrize("name", ["base_url", "url"])
def test_the_key_goes_to_klaviyo_and_to_this_machine(host: str, name: str) -> None:
    scheme = "https" if "klaviyo" in host.lower() else "http"
    assert complaints(**_at(name, f"{scheme}://{host}")) == ()


@pytest.mark.parametrize("host", LOOK_ALIKES)
@pytest.mark.parametrize("name", ["base_url", "url"])
def test_the_key_goes_to_no_look_alike(host: str, name: str) -> None:
    [complaint] = complaints(**_at(name, f"https://{host}"))
    assert complaint.startswith(f"{name}: the key would be sent to ")
    assert "trusted_hosts" in complaint


@pytest.mark.parametrize("host", NEVER_READ)
@pytest.mark.parametrize("name", ["base_url", "url"])
def test_an_address_that_could_be_read_in_two_ways_is_none(host: str, name: str) -> None:
    [complaint] = complaints(trusted_hosts="evil.io", **_at(name, f"https://{host}"))
    assert complaint.startswith(f"{name}: must be ")


@pytest.mark.parametrize("entry_point", [*EntryPoint])
def test_it_is_so_at_every_entry_point(entry_point: EntryPoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    target = {} if entry_point is EntryPoint.FOLLOW else {"template": "bulk_import_profiles"}
    with pytest.raises(OptionError, match=r"the key would be sent to 'klaviyo\.example\.com'"):
        read_options({**target, "base_url": "https://klaviyo.example.com"}, entry_point)


@pytest.mark.parametrize(
    "call",
    [
        check_klaviyo,
        lambda **options: follow_klaviyo("/nowhere", **options),
        lambda **options: klaviyo_partition_writer(**IMPORT, **options),
        lambda **options: klaviyo_batch_writer(**IMPORT, **options),
    ],
)
def test_nothing_is_read_with_the_key_elsewhere(call: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    with pytest.raises(OptionError, match="would be sent to"):
        call(base_url="https://klaviyo.example.com")


def test_a_host_that_the_caller_trusts_may_have_the_key() -> None:
    trusted = {"trusted_hosts": "gateway.example.com, 10.0.0.1"}
    for host in ("gateway.example.com", "GATEWAY.example.com:8443", "10.0.0.1"):
        assert complaints(**IMPORT, **trusted, base_url=f"https://{host}") == ()
    for host in ("other.example.com", "x.gateway.example.com", "gateway.example.com.evil.io"):
        assert len(complaints(**IMPORT, **trusted, base_url=f"https://{host}")) == 1
    assert complaints(**IMPORT, trusted_hosts=["gateway.example.com"], base_url="https://gateway.example.com") == ()


@pytest.mark.parametrize("hosts", ["", "*.example.com", "https://gateway.example.com", "a.b:443", "a.b/c", "a..b", 3])
def test_trusted_hosts_are_plain_names(hosts: object) -> None:
    [complaint] = complaints(**IMPORT, trusted_hosts=hosts)
    assert complaint.startswith("trusted_hosts: must be names of hosts")


def test_a_request_without_a_key_may_go_anywhere() -> None:
    elsewhere = {"url": "https://api.example.com/rows", "key_in": "none"}
    assert complaints(**elsewhere) == ()
    assert complaints(**elsewhere, headers={"Authorization": "Bearer of-the-other-service"}) == ()


@pytest.mark.parametrize(
    "hidden",
    [
        {"headers": {"X-Key": KEY}},
        {"body": f'{{"key":"{KEY}","rows":{{rows}}}}'},
        {"url": f"https://api.example.com/rows?token={KEY}"},
        {"api_key": "open-sesame-12345", "headers": {"X-Key": "open-sesame-12345"}},
    ],
)
def test_key_in_none_does_not_hide_a_key_elsewhere(hidden: dict[str, object]) -> None:
    found = complaints(**{"url": "https://api.example.com/rows", "key_in": "none", **hidden})
    assert [complaint for complaint in found if complaint.startswith("url: the key would be sent to")]
    assert not any(KEY in complaint or "open-sesame" in complaint for complaint in found)


def test_a_proxy_is_no_host_that_gets_the_key() -> None:
    plain = {**IMPORT, "base_url": "http://127.0.0.1:8080"}
    assert complaints(**IMPORT, proxy="http://proxy.example.com:3128") == ()  # TLS goes through it unread
    [complaint] = complaints(**plain, proxy="http://proxy.example.com:3128")
    assert complaint.startswith("proxy: over plain http 'proxy.example.com' would read the key")
    assert complaints(**plain, proxy="http://127.0.0.1:3128") == ()
    assert complaints(**plain, proxy="http://proxy.example.com:3128", trusted_hosts="proxy.example.com") == ()


LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)


@given(st.lists(LABEL, max_size=3), st.sampled_from(["klaviyo.com", "klaviyo.co", "klaviyo.com.io", "klaviyo"]))
def test_exactly_the_hosts_under_klaviyo_com_may_have_the_key(labels: list[str], end: str) -> None:
    host = ".".join([*labels, end])
    assert may_receive_key(f"https://{host}") is (end == "klaviyo.com" and _is_name(labels))


def _is_name(labels: list[str]) -> bool:
    return not any(label.startswith("-") or label.endswith("-") for label in labels)


def _at(name: str, address: str) -> dict[str, object]:
    return {**IMPORT, name: address} if name == "base_url" else {"api_key": KEY, "url": f"{address}/api/profiles"}
