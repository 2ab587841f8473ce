"""`--option NAME=VALUE` arguments as options.

A process list shows arguments, so a key among them is refused; references to a key are taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import KEY_PLACE, split_key
from spark_klaviyo.options.secrets import is_reference, masked, shown_name
from spark_klaviyo.options.table import BY_SPELLING, CREDENTIALS, normalized

REFERENCES = "env:NAME, file:PATH or secret:SCOPE/KEY"


def given_options(pairs: Sequence[str]) -> dict[str, str]:
    """The options by name.

    Raises:
        OptionError: An argument has no `=`, or holds a key.
    """
    wrong = [pair.partition("=")[0] for pair in pairs if "=" not in pair]
    if wrong:
        raise OptionError([f"--option {shown_name(name)}: expected NAME=VALUE" for name in wrong])
    given = {name.strip(): value for name, _, value in (pair.partition("=") for pair in pairs)}
    for name, value in given.items():
        if _holds_key(name, value):
            reason = f"a process list shows arguments, so the command line takes references only: {REFERENCES}"
            raise OptionError(f"{shown_name(name)}: {reason}")
    return given


def _holds_key(name: str, value: str) -> bool:
    """Whether an argument is a key, or holds one in an address, a header or a body."""
    option = BY_SPELLING.get(normalized(name))
    if option is not None and option.name in CREDENTIALS:
        return not is_reference(value)
    key = split_key(value)[1] if option is not None and option.name == "url" else ""
    return masked(value) != value or (bool(key) and key != KEY_PLACE and not is_reference(key))
