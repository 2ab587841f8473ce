"""`--option NAME=VALUE` arguments as options."""

from __future__ import annotations

from collections.abc import Sequence

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import KEY_PLACE, split_key
from spark_klaviyo.options.secrets import is_reference, masked, shown_name
from spark_klaviyo.options.table import BY_SPELLING, CREDENTIALS, normalized

TAKES = "env:NAME, file:PATH or secret:SCOPE/KEY"


def given_options(pairs: Sequence[str]) -> dict[str, str]:
    """The options; an `OptionError` for one without `=`, and for a key in the open, as a process list shows it."""
    wrong = [pair.partition("=")[0] for pair in pairs if "=" not in pair]
    if wrong:
        raise OptionError([f"--option {shown_name(name)}: expected NAME=VALUE" for name in wrong])
    given = {name.strip(): value for name, _, value in (pair.partition("=") for pair in pairs)}
    for name, value in given.items():
        if _in_the_open(name, value):
            told = f"a process list shows arguments, so the command line takes references only: {TAKES}"
            raise OptionError(f"{shown_name(name)}: {told}")
    return given


def _in_the_open(name: str, value: str) -> bool:
    """Whether an argument is a key, or holds one: in an address, a header, a body."""
    option = BY_SPELLING.get(normalized(name))
    if option is not None and option.name in CREDENTIALS:
        return not is_reference(value)
    key = split_key(value)[1] if option is not None and option.name == "url" else ""
    return masked(value) != value or (bool(key) and key != KEY_PLACE and not is_reference(key))
