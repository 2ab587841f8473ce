"""Credentials out of options: where they come from, and at which doors they may stand in the open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import host_of, is_loopback
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.secrets import Credentials, Secret, is_reference, read_secret
from spark_klaviyo.options.table import KEY_VARIABLE

_REFERENCES = "env:NAME, file:PATH or secret:SCOPE/KEY"
_MISSING = f"api_key: is required: set the environment variable {KEY_VARIABLE}, or give a reference ({_REFERENCES})"

_PLANNERS = (
    EntryPoint.SOURCE,
    EntryPoint.STREAM,
)  # Spark plans these in a process of its own, which a notebook's variables never reach
_PLANNED_ELSEWHERE = "; or bind the key of this process with register(spark, api_key=...)"


@dataclass(frozen=True)
class Need:
    """What the call needs of a key: `key` in its body (v1, v2), `any` credential, or `none`; and who reads options."""

    what: str
    entry_point: EntryPoint
    recorded: bool


def read_credentials(given: Mapping[str, Secret | str], need: Need, complaints: list[str]) -> Credentials:
    """Resolve what was given, and the environment's key where nothing was; adds to `complaints`."""
    if len(given) == 2:
        complaints.append("access_token: is given besides api_key; give one of them")
    found = {name: _resolve(name, value, need, complaints) for name, value in given.items()}
    key, token = found.get("api_key"), found.get("access_token")
    if need.what == "key" and "access_token" in given:
        complaints.append("access_token: the retired v1 and v2 calls take api_key only")
    if not given and need.what != "none":
        key = _from_environment(need, complaints)
    return Credentials(key, token)


def _from_environment(need: Need, complaints: list[str]) -> Secret | None:
    try:
        return read_secret("api_key", f"env:{KEY_VARIABLE}")
    except OptionError:
        if need.entry_point is not EntryPoint.PREVIEW:
            complaints.append(_MISSING + (_PLANNED_ELSEWHERE if need.entry_point in _PLANNERS else ""))
        return None


def _resolve(name: str, value: Secret | str, need: Need, complaints: list[str]) -> Secret | None:
    if isinstance(value, str) and not is_reference(value):
        refusal = _in_the_open(name, need)
        if refusal:
            complaints.append(refusal)
            return None
    try:
        return read_secret(name, value.reveal() if isinstance(value, Secret) else value)
    except OptionError as error:
        complaints.extend(error.complaints)
        return None


def _in_the_open(name: str, need: Need) -> str:
    """Why this door takes no literal key; empty where it may."""
    if need.entry_point is EntryPoint.COMMAND:
        return f"{name}: a process list shows arguments, so the command line takes references only: {_REFERENCES}"
    if need.recorded or need.entry_point is EntryPoint.STREAM:
        return (
            f"{name}: Spark records the options of this door in its event log and UI, and may have done so already: "
            f"rotate this key; then give a reference ({_REFERENCES}), or bind the key with register(spark, {name}=...)"
        )
    return ""


def elsewhere(credentials: Credentials, address: str) -> str:
    """A warning where what looks like a live key goes to a host that is not Klaviyo's; else empty."""
    key, host = credentials.api_key or credentials.access_token, host_of(address)
    if key is None or is_loopback(host) or host == "klaviyo.com" or host.endswith(".klaviyo.com"):
        return ""
    if len(key.reveal()) < 20:
        return ""
    return f"{host} is not Klaviyo's, and the key looks like a live one: whoever answers there will read it"
