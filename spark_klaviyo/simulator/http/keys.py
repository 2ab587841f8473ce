"""Who calls: private keys and OAuth tokens, their scopes, and the quota pool they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spark_klaviyo.simulator.errors import bad_private_key, bad_token


@dataclass(frozen=True)
class Caller:
    """The scopes of a key (None: all) and its quota pool: private keys share one, each OAuth install has its own."""

    scopes: frozenset[str] | None
    pool: str

    def lacks(self, needed: str) -> Sequence[str]:
        """The scopes of `needed` (blank-separated) the caller has not."""
        return [] if self.scopes is None else [scope for scope in needed.split() if scope not in self.scopes]


class KeyRing:
    """The keys of the account. None given: any that starts with `pk_`, any token, all scopes."""

    def __init__(self, keys: Mapping[str, Iterable[str] | None] | Iterable[str] | None) -> None:
        self._revoked: set[str] = set()
        if keys is None:
            self._known: dict[str, frozenset[str] | None] | None = None
        elif isinstance(keys, Mapping):
            self._known = {key: None if scopes is None else frozenset(scopes) for key, scopes in keys.items()}
        else:
            self._known = dict.fromkeys([keys] if isinstance(keys, str) else keys)

    def revoke(self, key: str) -> None:
        """From now on the key is unknown."""
        self._revoked.add(key)

    def is_good(self, key: str) -> bool:
        """Whether a private key is known (legacy paths carry it in other places)."""
        if key in self._revoked:
            return False
        return key.startswith("pk_") if self._known is None else key in self._known

    def caller(self, authorization: str | None) -> Caller:
        """recorded 2026-03, 2026-09: 401 in two documents, one for keys and one for tokens."""
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() == "klaviyo-api-key" and self.is_good(key):
            return Caller(self._scopes(key), "account")
        if scheme.lower() == "bearer":
            if key and key not in self._revoked and (self._known is None or key in self._known):
                return Caller(self._scopes(key), f"install {key}")
            raise bad_token()
        raise bad_private_key()

    def _scopes(self, key: str) -> frozenset[str] | None:
        return None if self._known is None else self._known[key]
