"""Ways to read options in tests, with a key unless one is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options

KEY = "pk_0123456789abcdef0123456789abcdef01"


def read(entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False, **given: Any) -> Options:
    """Options, with a key unless one is given."""
    return read_all({"api_key": KEY, **given}, entry_point, recorded=recorded)


def read_all(
    given: Mapping[str, object], entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False
) -> Options:
    """Options, with nothing added."""
    return read_options(given, entry_point, recorded=recorded)


def complaints(
    entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False, **given: Any
) -> tuple[str, ...]:
    """What is complained about; empty when nothing is."""
    return complaints_of({"api_key": KEY, **given}, entry_point, recorded=recorded)


def complaints_of(
    given: Mapping[str, object], entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False
) -> tuple[str, ...]:
    """What is complained about, with nothing added to what is given."""
    try:
        read_all(given, entry_point, recorded=recorded)
    except OptionError as error:
        return error.complaints
    return ()


def to_list(**given: Any) -> dict[str, Any]:
    """The usual options of adding profiles to a list."""
    return {"template": "add_profiles_to_list", "list_id": "Y6nRLr", **given}
