"""Keys that cannot be printed, the references that stand for them in options, and the credentials of a call.

A reference is `env:NAME`, `file:PATH` or `secret:SCOPE/KEY` (Databricks). It is resolved in the calling process, so
that neither Spark nor a process list ever sees the key; from there on it travels inside pickles only.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from spark_klaviyo.core.secrets import MASK, Credentials, Secret
from spark_klaviyo.core.stores import NoStoreError, open_store
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint

KEY_VARIABLE = "KLAVIYO_API_KEY"
MOST_CHARACTERS = 10_000  # no key is longer; a reference to some other file is noticed before it is read whole


_KEYLIKE = re.compile(r"pk_\w{6,}", re.ASCII)  # the form of a private key
_TOKEN = re.compile(r"[\w+=~-]{20,}", re.ASCII)  # as long as tokens and keys of any service are
_CHANGE = re.compile(r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)")
LEAST_CHANGES = 3  # between letters and digits: random text has them, names and dates do not


def masked(text: str) -> str:
    """The text with everything in it that looks like a private key covered."""
    return _KEYLIKE.sub(MASK, text)


def masked_tokens(text: str) -> str:
    """The text of a complaint with everything in it that looks like some key or token covered."""
    return _TOKEN.sub(lambda word: MASK if len(_CHANGE.findall(word[0])) >= LEAST_CHANGES else word[0], masked(text))


def shown_name(spelling: str) -> str:
    """An option's name as it was typed, if that is short and printable."""
    word = masked_tokens(spelling)
    return word if len(word) <= 60 and word.isprintable() else repr(word[:57] + "...")


def quoted(value: object) -> str:
    """What was given for an option, for a message: short, and never the inside of an object."""
    word = masked_tokens(repr(value)) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    return word if len(word) <= 60 else f"{word[:56]}...{word[0]}"


def is_reference(text: str) -> bool:
    """Whether the text names a secret instead of being one."""
    return text.partition(":")[0].strip().lower() in _FINDERS and ":" in text


def read_secret(name: str, text: str) -> Secret:
    """The secret that option `name` gives, or refers to.

    Raises OptionError when a reference leads nowhere, or when the text could not stand in a header; the message names
    the reference and never the secret.
    """
    if not is_reference(text):
        return Secret(_checked(text.strip(), f"{name}: the value"))
    scheme, _, place = text.partition(":")
    scheme, place = scheme.strip().lower(), place.strip()
    label = f"{scheme}:{MASK if place.startswith('pk_') else place}"
    found, trouble = _looked_up(scheme, place)
    if trouble:
        raise OptionError(f"{name}: {label}: {trouble}")
    return Secret(_checked(found.strip(), f"{name}: what {label} holds"))


def _looked_up(scheme: str, place: str) -> tuple[str, str]:
    """What stands there and nothing, or nothing and why not. The error ends here: its chain could quote a file."""
    try:
        return _FINDERS[scheme](place), ""
    except _Lost as error:
        return "", str(error)
    except OSError as error:
        return "", (error.strerror or "cannot be read").lower()
    except (ValueError, RuntimeError):  # no text, no such home directory
        return "", "is no readable text file"


class _Lost(Exception):
    """A reference leads nowhere; the text says why."""


def _checked(text: str, what: str) -> str:
    if not text:
        raise OptionError(f"{what} is empty; expected a private API key")
    if not (text.isascii() and text.isprintable()) or " " in text or len(text) > MOST_CHARACTERS:
        raise OptionError(
            f"{what} cannot be a key: it has blanks, line breaks or letters that no key has, or is too long"
        )
    return text


def _from_environment(name: str) -> str:
    if not name:
        raise _Lost("must name the variable, as env:KLAVIYO_API_KEY does")
    if name not in os.environ:
        raise _Lost("no such environment variable in the calling process")
    return os.environ[name]


def _from_file(place: str) -> str:
    if not place:
        raise _Lost("must name the file, as file:/run/secrets/klaviyo does")
    if "://" in place and not place.startswith("file:"):
        return _from_store(place)
    with Path(place.removeprefix("file://")).expanduser().open(encoding="utf-8") as file:
        return file.read(MOST_CHARACTERS + 2)


def _from_store(uri: str) -> str:
    try:
        system, path = open_store(uri)
    except NoStoreError as error:
        raise _Lost(str(error)) from None
    with system.open_input_stream(path) as file:
        return str(file.read(MOST_CHARACTERS + 2).decode("utf-8"))


def _from_databricks(place: str) -> str:
    scope, _, key = place.partition("/")
    if not (scope and key):
        raise _Lost("must be secret:SCOPE/KEY")
    get = _secret_getter()
    if get is None:
        raise _Lost("Databricks' dbutils was not found here; use env:NAME or file:PATH")
    try:
        return get(scope, key)
    except Exception:  # dbutils raises Py4J's, Spark's or the SDK's own errors, none of which may be imported here
        raise _Lost("Databricks refused it: check the names of scope and key, and who may read them") from None


def _secret_getter() -> Callable[[str, str], str] | None:
    """Databricks' `dbutils.secrets.get`: the notebook's, the script's, or the one for libraries."""
    dbutils = getattr(sys.modules.get("__main__"), "dbutils", None)
    if dbutils is None and "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        dbutils = shell.user_ns.get("dbutils") if shell is not None else None
    if dbutils is None:
        try:
            dbutils = importlib.import_module("databricks.sdk.runtime").dbutils
        except (ImportError, ValueError, AttributeError):  # not installed, or no workspace configured
            return None
    getter: Callable[[str, str], str] = dbutils.secrets.get
    return getter


_FINDERS: dict[str, Callable[[str], str]] = {"env": _from_environment, "file": _from_file, "secret": _from_databricks}


# --- the credentials of a call --------------------------------------------------------------------

REFERENCES = "env:NAME, file:PATH or secret:SCOPE/KEY"
REFERENCES_ONLY = f"a process list shows arguments, so the command line takes references only: {REFERENCES}"
_MISSING = f"api_key: is required: set the environment variable {KEY_VARIABLE}, or give a reference ({REFERENCES})"

# Spark plans these in a process of its own, which a notebook's variables never reach.
_PLANNERS = (EntryPoint.SOURCE, EntryPoint.STREAM)
_PLANNED_ELSEWHERE = "; or bind the key of this process with register(spark, api_key=...)"


def read_credentials(
    given: Mapping[str, Secret | str], entry_point: EntryPoint, complaints: list[str], *, recorded: bool
) -> Credentials:
    """Resolve the given options, or the key of the environment where there is none; adds to `complaints`.

    `recorded`: whether Spark writes the options down.
    """
    found: dict[str, Secret] = {}
    if not given:
        try:
            found["api_key"] = read_secret("api_key", f"env:{KEY_VARIABLE}")
        except OptionError:
            if entry_point is not EntryPoint.PREVIEW:
                complaints.append(_MISSING + (_PLANNED_ELSEWHERE if entry_point in _PLANNERS else ""))
    for name, value in given.items():
        try:
            if isinstance(value, str) and not is_reference(value):
                _refuse_where_seen(name, entry_point, recorded=recorded)
            found[name] = read_secret(name, value.reveal() if isinstance(value, Secret) else value)
        except OptionError as error:
            complaints.extend(error.complaints)
    return Credentials(found.get("api_key"), found.get("access_token"))


def _refuse_where_seen(name: str, entry_point: EntryPoint, *, recorded: bool) -> None:
    """Refuse a literal key where others can read options."""
    if entry_point is EntryPoint.COMMAND:
        raise OptionError(f"{name}: {REFERENCES_ONLY}")
    if recorded or entry_point is EntryPoint.STREAM:
        raise OptionError(
            f"{name}: Spark records these options in its event log and UI, and may have done so already: "
            f"rotate this key; then give a reference ({REFERENCES}), or bind the key with register(spark, {name}=...)"
        )
