"""Keys and tokens that cannot be printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

MASK = "********"


class Secret:
    """A text whose repr, str and format are masked; `reveal()` is the one way to read it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; to be called only where a request is made."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (self._text,)


@dataclass(frozen=True)
class Credentials:
    """A private API key or an OAuth access token; neither in a preview, and with `key_in=none`."""

    api_key: Secret | None = None
    access_token: Secret | None = None

    def reveal(self) -> str:
        """The key, or the token; empty where there is neither."""
        secret = self.api_key or self.access_token
        return secret.reveal() if secret else ""


def cover_of(secrets: Iterable[str], least: int = 6) -> Callable[[str], str]:
    """A function that masks these secrets wherever a text holds them, as they are or percent-encoded.

    One of fewer than `least` characters is masked nowhere: it may be part of an ordinary word.
    """
    known = {form for secret in secrets if len(secret) >= least for form in (secret, quote(secret, ""))}
    if not known:
        return str
    pattern = re.compile("|".join(re.escape(form) for form in sorted(known, key=len, reverse=True)), re.IGNORECASE)
    return lambda text: pattern.sub(MASK, text)
