"""Closed sets that options, templates and requests have in common. A member's value is the text that users write."""

from __future__ import annotations

from enum import Enum
from typing import Self


class Choice(Enum):
    """Base of closed sets of texts, written as `NAME = value` or `NAME = value, text`.

    A member prints as its value and never equals a bare string; `text` says in words what it means.
    """

    _value_: str
    text: str

    def __new__(cls, value: str, text: str = "") -> Self:
        """A member with this value and text."""
        member = object.__new__(cls)
        member._value_ = value
        member.text = text
        return member

    def __str__(self) -> str:
        return str(self.value)


class Api(Choice):
    """The generation of Klaviyo's API that a template belongs to; v1 and v2 were retired on 2024-06-30."""

    CURRENT = "current"
    V2 = "v2"
    V1 = "v1"


class KeyIn(Choice):
    """Where the key travels in a request."""

    HEADER = "header"  # Authorization
    API_KEY_HEADER = "api-key"  # a header of v2's own; follows from the URL, not a choice of users
    QUERY = "query"
    BODY = "body"
    NONE = "none"


class ContentFormat(Choice):
    """What the rows of a request are written as."""

    JSON = "json"
    NDJSON = "ndjson"
    FORM = "form"
    FORM_DATA_PARAM = "form-data-param"  # v1's `data=<JSON>`
    XML = "xml"
    CSV = "csv"
    TEXT = "text"


class OnDelete(Choice):
    """`on_delete`: what a delete in change data means."""

    REMOVE = "remove"  # from the list
    SUPPRESS = "suppress"
    DELETE = "delete"
    IGNORE = "ignore"
