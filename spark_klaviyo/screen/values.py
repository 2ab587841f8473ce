"""What an email, a phone number and a time must be: each rule returns the value to send, or the problem.

For a whole column, `possible_numbers` finds the texts that certainly are phone numbers, written as they are sent.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumber

from spark_klaviyo.arrow.arrays import Ints, Mask, bytes_and_offsets, from_numpy, to_mask
from spark_klaviyo.core.codes import RejectCode

EMAIL = re.compile(r"[^\s@\"(),:;<>\[\]\\]+@[^\s@.,;:<>()\[\]\\\"]+(?:\.[^\s@.,;:<>()\[\]\\\"]+)+")
# A number as people write it: digits, blanks, dashes, dots, slashes and brackets, with a plus in front at most.
_BLANK, _DASHES = " \u00a0\u2000-\u200a\u202f\u3000", "\\-\u2010-\u2015\u2212\uff0d"
_NOTATION = re.compile(rf"[(\[\uff08]?[+\uff0b]?[\d{_BLANK}{_DASHES}./\uff0f\uff0e()\[\]\uff08\uff09]*")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # copied along from other programs
_LEADING = re.compile(r"'|(?i:tel:)\s*")  # a spreadsheet's mark of text, RFC 3966
_FRACTION = re.compile(r"\+?\d{7,}\.\d{1,2}")  # what pandas and spreadsheets make of a number
_BETWEEN = re.compile(rf"[{_BLANK}]*[/\uff0f][{_BLANK}]*|[{_BLANK}]+[{_DASHES}]+[{_BLANK}]+|[{_BLANK}]{{2,}}")
MOST_CHARACTERS = 60
SHORTEST = 6  # digits of a number; behind a slash stands a shorter rest only after an area code
AREA_DIGITS, COUNTRY_DIGITS = 6, 2  # most digits of an area code with its trunk prefix; of a calling code beside it
# ISO 8601 with `T` or a blank, RFC 3339 among it, and a day alone.
_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?)?"
    r"|\d{8}T\d{6}(?:[Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
EXPECTED_TIME = (
    "invalid time (expected RFC 3339, such as 2026-10-15T08:00:00Z, up to the year 9999; "
    "to_timestamp reads other forms)"
)
EXPECTED_PHONE = "expected E.164, for example +16175551234"
REPLACEMENT = "\ufffd"  # what decoders write for bytes that are not valid text
REPLACEMENT_MEANING = "U+FFFD, which stands for bytes that were not valid UTF-8"
MAX_EMAIL = 254  # RFC 5321: the longest address that can be delivered


@dataclass(frozen=True)
class Problem:
    """Why a value cannot be sent; `detail` never repeats the value.

    `protects`: where people are opted out, removed or subscribed, the row is rejected whatever `validate` says.
    """

    code: RejectCode
    detail: str
    protects: bool = False


# Letters and marks that are drawn as nothing, besides the controls and formats that `str.isprintable` knows (Unicode:
# Default_Ignorable_Code_Point, and the blank of Braille).
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
INVISIBLE_IN_EMAIL = "the email holds an invisible or control character, so it would mean another person"
MIXED_DOMAIN = "the email's domain mixes Latin letters with others that look like them, so it would mean another person"
# Whose letters look like Latin ones (Unicode UTS 39, "moderately restrictive"); domains may mix all others with Latin.
_LOOK_LATIN = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})


def email(text: str) -> str | Problem:
    """The trimmed address."""
    trimmed = text.strip()
    if not trimmed.isprintable() or INVISIBLE.search(trimmed):
        return Problem(RejectCode.BAD_EMAIL, INVISIBLE_IN_EMAIL, protects=True)
    local, _, domain = trimmed.partition("@")
    dots = local.startswith(".") or local.endswith(".") or ".." in trimmed
    if dots or len(trimmed) > MAX_EMAIL or not EMAIL.fullmatch(trimmed):
        return Problem(RejectCode.BAD_EMAIL, "invalid email address (expected name@domain.tld)")
    if not domain.isascii() and any(map(_looks_like_another, domain.split("."))):
        return Problem(RejectCode.BAD_EMAIL, MIXED_DOMAIN, protects=True)
    return trimmed


def _looks_like_another(label: str) -> bool:
    """Whether a part of a domain mixes scripts that look alike, or writes letters in another form (full width)."""
    composed = unicodedata.normalize("NFC", label)
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in composed if letter.isalpha()}
    mixed = "LATIN" in scripts and not scripts.isdisjoint(_LOOK_LATIN)
    return mixed or unicodedata.normalize("NFKC", label) != composed


def phone(text: str, country: str) -> str | Problem:
    """The number in E.164; `country` (ISO 3166) is that of national numbers, "" when none is known.

    It is read in any usual notation and never guessed: a text with words, an extension or a second number is none, and
    a national number has to be a valid one of that country, as another country's would reach a stranger.
    """
    written = _LEADING.sub("", _INVISIBLE.sub("", text).strip())
    if len(written) > MOST_CHARACTERS or not _NOTATION.fullmatch(written) or _holds_several(written):
        return _bad_phone(": it holds something besides one number")
    digits = phonenumbers.normalize_digits_only(written)
    if "+" in written or "\uff0b" in written or digits.startswith("00"):
        number = _parsed(f"+{digits.removeprefix('00')}", None)
        if number is None:
            return _bad_phone()
        is_possible = phonenumbers.is_possible_number(number)
        return _e164(number) if is_possible else _bad_phone(": wrong length for its country")
    return _national(written, digits, country.upper())


def _bad_phone(why: str = "", hint: str = "") -> Problem:
    return Problem(RejectCode.BAD_PHONE, f"invalid phone number{why} ({EXPECTED_PHONE}){hint}")


def _national(text: str, digits: str, country: str) -> str | Problem:
    """A number without `+`: with the country's calling code where the rest is valid there, else a national one."""
    if not country:
        return _bad_phone(hint="; give default_country for national numbers")
    code = str(phonenumbers.country_code_for_region(country))
    trunk = phonenumbers.ndd_prefix_for_region(country, True) or ""
    candidates = [_parsed(text, country)]
    if digits.startswith(code) and not (trunk and digits.startswith(trunk)):
        candidates.insert(0, _parsed(f"+{digits}", None))
    valid = [number for number in candidates if number is not None and phonenumbers.is_valid_number(number)]
    return _e164(valid[0]) if valid else _bad_phone(f": not a valid number of {country}")


def _parsed(text: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _holds_several(text: str) -> bool:
    """Whether two numbers stand in it (`030 1234 / 030 5678`), or a number with a fraction or a note behind it."""
    if _FRACTION.fullmatch(text) or text.endswith((")", "]", "\uff09")):
        return True
    for found in _BETWEEN.finditer(text):
        rest = text[found.end() :]
        before, after = (len(phonenumbers.normalize_digits_only(part)) for part in (text[: found.start()], rest))
        begins_anew = min(before, after) >= SHORTEST and rest.lstrip("(").startswith(("0", "+"))
        area = AREA_DIGITS + (0 if text[0].isdigit() else COUNTRY_DIGITS)
        if begins_anew or ("/" in found[0] and before > area):
            return True
    return False


def time(text: str, earliest: str, latest_days: int | None, zone: str = "UTC") -> str | Problem:
    """A time in RFC 3339, inside the window that Klaviyo takes; without an offset it is one of `zone` (IANA name)."""
    written = text.strip()
    try:
        if not _ISO_8601.fullmatch(written):
            raise ValueError
        when = datetime.fromisoformat(written.upper().replace(",", "."))
        moment = (when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return Problem(RejectCode.BAD_TIME, EXPECTED_TIME)
    if earliest and moment < datetime.fromisoformat(earliest):
        return Problem(RejectCode.BAD_TIME, f"the time is before {earliest[:10]}, which is not taken", protects=True)
    if latest_days is not None and moment > datetime.now(timezone.utc) + timedelta(days=latest_days):
        ahead = f"more than {latest_days} days ahead" if latest_days else "in the future"
        return Problem(RejectCode.BAD_TIME, f"the time is {ahead}, which is not taken", protects=True)
    if _RFC_3339.fullmatch(written):
        return written
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


# --- phone numbers in columns ---------------------------------------------------------------------

E164 = r"^\+[1-9][0-9]{6,14}\z"
MOST_LENGTHS = 16  # the length of a national number is below


def possible_numbers(texts: pa.Array) -> Mask:
    """Which texts are certainly E.164 numbers of a possible length, written as they will be sent; null is not.

    False may be wrong, True never is. `phonenumbers` is asked once for each calling code and length that occurs in a
    batch, never for each number.
    """
    valid = to_mask(pc.match_substring_regex(texts, E164))
    rows = np.flatnonzero(valid)
    content, offsets = bytes_and_offsets(texts)
    starts, lengths = offsets[:-1][rows] + 1, np.diff(offsets)[rows] - 1
    hundreds, tens, ones = (content[starts + place].astype(np.int64) - ord("0") for place in range(3))
    codes: Ints = CODE_OF[hundreds * 100 + tens * 10 + ones]
    kinds = codes * MOST_LENGTHS + lengths - np.where(codes < 10, 1, np.where(codes < 100, 2, 3))
    possible = np.zeros(len(CODE_OF) * MOST_LENGTHS, np.bool_)
    found = np.flatnonzero(np.bincount(kinds)).tolist()
    possible[found] = [_is_possible(*divmod(kind, MOST_LENGTHS)) for kind in found]
    valid[rows] = possible[kinds]
    for code in sorted({kind // MOST_LENGTHS for kind in found if possible[kind]}):
        mine = rows[possible[kinds] & (codes == code)]
        valid[mine[_begins_with_trunk_prefix(texts, mine, code)]] = False
    return valid


def _calling_code(head: str) -> int:
    """The calling code of numbers that begin with these three digits; 0 where there is none."""
    codes = (int(head[:digits]) for digits in (1, 2, 3))
    return next((code for code in codes if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), 0)


CODE_OF = np.array([_calling_code(f"{head:03d}") for head in range(1000)], np.int64)


def _is_possible(code: int, digits: int) -> bool:
    """Whether numbers of this calling code can have so many digits."""
    if not code or digits < 1:
        return False
    return bool(phonenumbers.is_possible_number(PhoneNumber(code, int("1" * digits))))


def _begins_with_trunk_prefix(texts: pa.Array, rows: Ints, code: int) -> Mask:
    """Which numbers have their country's trunk prefix behind the calling code; `phonenumbers` would drop it."""
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    pattern = metadata.national_prefix_for_parsing if metadata is not None else ""
    if not pattern:
        return np.zeros(len(rows), np.bool_)
    numbers, prefix = texts.take(from_numpy(rows)), rf"^(\+{code})(?:{pattern})"
    begins = to_mask(pc.match_substring_regex(numbers, prefix))
    if begins.any():  # the pattern may match nothing
        begins = to_mask(pc.not_equal(pc.replace_substring_regex(numbers, prefix, r"\1"), numbers))
    return begins
