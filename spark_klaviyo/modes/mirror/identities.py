"""When a row and a member of a list are the same person: identifiers as Klaviyo compares them, as hashes.

No identifier itself is held. Two people with the same 64-bit hash count as one, so that at worst a person stays on the
list.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from spark_klaviyo.core.identifiers import normalise_identifier
from spark_klaviyo.screen import values

KINDS = ("id", "email", "phone_number", "external_id")
MISSING = 0  # the hash of an identifier that a row or a member does not have
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
PLAIN_EMAIL = re.compile(r"[a-z0-9.@_+-]*")
PROFILE_ID = re.compile(r"[0-9A-Z]{26}")  # recorded; a shop's own numbers have other forms
# Letters of other scripts that look like Latin ones, and what stands for a dot by mistake.
LATIN = str.maketrans("асԁеһіјӏорԛѕԝхуαινορυ，,", "acdehijlopqswxyaivopu..")
Hashes = npt.NDArray[np.int64]  # shape (people, identifiers of each)


def comparable_form(kind: str, value: object, country: str = "") -> str:
    """An identifier as Klaviyo compares it: emails in lower case, phones as E.164; empty where there is none.

    `country`: that of national phone numbers. A phone that cannot be read is compared by its digits.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind == "phone_number" and value is not None:
        text = str(value).strip()
        written = text if E164.fullmatch(text) else values.phone(text, country)
        value = written if isinstance(written, str) else text
    return normalise_identifier(kind, value)


def identifies(kind: str, form: str) -> bool:
    """Whether an identifier, in its comparable form, says which member is meant, or that none is.

    That is a valid email, a phone in full, a profile id or any external id. An email with invisible characters, or with
    letters of several scripts, looks like another one and may be meant for that.
    """
    if kind == "email":
        return isinstance(values.email(form), str) and (form.isascii() or _has_one_script(form)) and form.isprintable()
    form_of = {"phone_number": E164, "id": PROFILE_ID}.get(kind)
    return bool(form_of.fullmatch(form)) if form_of is not None else bool(form)


def _has_one_script(text: str) -> bool:
    letters = filter(str.isalpha, unicodedata.normalize("NFC", text))
    return len({unicodedata.name(letter, "").partition(" ")[0] for letter in letters}) == 1


def cleaned_email(form: str) -> str:
    """The address that was probably meant: without what spreadsheets and copying put in, in Latin letters."""
    if PLAIN_EMAIL.fullmatch(form):
        return form
    visible = "".join(letter for letter in unicodedata.normalize("NFKC", form) if letter.isprintable())
    bare = visible.lower().replace(" ", "").lstrip("'\N{RIGHT SINGLE QUOTATION MARK}").removeprefix("mailto:")
    return bare.translate(LATIN)


def hash_identifier(kind: str, form: str) -> int:
    """The hash of an identifier in its comparable form; `MISSING` where it is empty."""
    if not form:
        return MISSING
    digest = hashlib.blake2b(f"{kind}\x1f{form}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1


def hash_people(people: Iterable[Mapping[str, object]]) -> Hashes:
    """The hashes of people given as mappings of identifiers, in the order of `KINDS`."""
    rows = [[hash_identifier(kind, comparable_form(kind, person.get(kind))) for kind in KINDS] for person in people]
    return np.array(rows, dtype=np.int64).reshape(-1, len(KINDS))


def distinct(hashes: Iterable[Hashes]) -> Hashes:
    """Each hash once, in ascending order; `MISSING` is none."""
    every = np.unique(np.concatenate([np.empty(0, np.int64), *(one.ravel() for one in hashes)]))
    found: Hashes = every[every != MISSING]
    return found


class IdentitySet:
    """A set of people, by the hashes of all their identifiers; it remembers which of them were found."""

    def __init__(self, people: Iterable[Hashes]) -> None:
        self.hashes = distinct(people)
        self._found = np.zeros(len(self.hashes), dtype=bool)

    def __len__(self) -> int:
        return len(self.hashes)

    def contains(self, people: Hashes) -> npt.NDArray[np.bool_]:
        """For each of these people, whether one of their identifiers is in the set."""
        if not len(self.hashes) or not len(people):
            return np.zeros(len(people), dtype=bool)
        positions = np.minimum(np.searchsorted(self.hashes, people), len(self.hashes) - 1)
        equal = (self.hashes[positions] == people) & (people != MISSING)
        self._found[positions[equal]] = True
        found: npt.NDArray[np.bool_] = equal.any(axis=1)
        return found

    @property
    def found(self) -> IdentitySet:
        """The identifiers that were found so far."""
        return IdentitySet([self.hashes[self._found]])
