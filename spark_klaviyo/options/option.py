"""What an option is: its name, how a value is read, its default, what it means, and how a value is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from spark_klaviyo.core.codes import Choice
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.core.secrets import MASK
from spark_klaviyo.options import addresses, readers
from spark_klaviyo.options.readers import Reader
from spark_klaviyo.options.secrets import masked


class Mode(Choice):
    """Whether a write uses a template or a URL (manual mode); of an option, where it belongs."""

    TEMPLATE = "template"
    MANUAL = "manual"
    BOTH = "both"
    NEITHER = "neither"


@dataclass(frozen=True)
class Option:
    """One option."""

    name: str
    reader: Reader
    # As a user would write it; None: nothing, or what the help says.
    default: str | None
    help: str
    mode: Mode = Mode.BOTH
    # Whether it takes code of this package in the driver before and after the tasks.
    needs_session: bool = False
    # Whether its value may hold a key, so that neither a message nor a repr shows it.
    hidden: bool = False
    # Whether it is about the rows of the chosen template, and is reset where the call uses another template too.
    per_template: bool = False
    # The value where neither the user nor `default` gives one.
    if_unset: object = None

    @property
    def default_value(self) -> object:
        """The value when the option is not given."""
        return self.if_unset if self.default is None else self.reader(self.default)

    def public_text(self, value: object) -> str:
        """A value that was read, as text that may be kept and shown: no key, header value, body, query or password."""
        if self.reader in _ADDRESS_READERS:
            return masked(addresses.shown_place(str(value)))
        if self.reader is readers.headers and isinstance(value, Mapping):
            return ", ".join(f"{header}: {MASK}" for header in value)
        return MASK if self.hidden else masked(_text(value))


_ADDRESS_READERS = (addresses.complete_url, addresses.proxy, addresses.place, addresses.directory)


def _text(value: object) -> str:
    if isinstance(value, bool | Mapping):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, Quota):
        return ",".join(f"{count}/{seconds:g}s" for count, seconds in value.windows) or "none"
    return "auto" if value is None else str(value)


def option(reader: Reader | type[Choice], default: str | None, meaning: str, **more: Any) -> Any:
    """A field of a dataclass that is an option; arguments as in `Option`, or a closed set for its reader."""
    one = readers.OneOf(reader) if isinstance(reader, type) and issubclass(reader, Choice) else reader
    return field(metadata={"option": partial(Option, reader=one, default=default, help=meaning, **more)})


template_option = partial(option, mode=Mode.TEMPLATE)
session_option = partial(template_option, needs_session=True)
manual_option = partial(option, mode=Mode.MANUAL)
