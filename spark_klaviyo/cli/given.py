"""`--option NAME=VALUE` arguments as options."""

from __future__ import annotations

from collections.abc import Sequence

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.secrets import is_reference
from spark_klaviyo.options.table import plain

TAKES = "env:NAME, file:PATH or secret:SCOPE/KEY"


def given_options(pairs: Sequence[str]) -> dict[str, str]:
    """The options; an `OptionError` for one without `=`, and for a key in the open, as a process list shows it."""
    wrong = [pair.partition("=")[0] for pair in pairs if "=" not in pair]
    if wrong:
        raise OptionError([f"--option {name}: expected NAME=VALUE" for name in wrong])
    given = {name.strip(): value for name, _, value in (pair.partition("=") for pair in pairs)}
    for name, value in given.items():
        if plain(name) in ("apikey", "accesstoken") and not is_reference(value):
            raise OptionError(
                f"{name}: a process list shows arguments, so the command line takes references only: {TAKES}"
            )
    return given
