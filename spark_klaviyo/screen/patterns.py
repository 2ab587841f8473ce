"""Patterns of texts that are clearly fine; what they do not match is looked at exactly.

Each is valid, and means the same, in Java, RE2 and Python, and is meant to match the WHOLE text (`whole` adds the
anchors for the first two). Repetitions of groups are bounded, because Java's matcher recurses into them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_letters, digits

from spark_klaviyo.screen.heads import DIGITS, heads

# A blank of Unicode's anywhere but ASCII, which `\s` does not mean in Java and RE2.
_BLANKS = "\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_BLANK = f"[^\\s{_BLANKS}](?s:.*)"

# Characters one by one: Java looks those up in a table, and tries ranges one after the other.
_ALPHANUMERIC = ascii_letters + digits
_ATOM, _LABEL = f"[{_ALPHANUMERIC}!#$%&'*+/=?^_`{{|}}~-]+", f"[{_ALPHANUMERIC}-]+"
EMAIL = rf"{_ATOM}(?:\.{_ATOM}){{0,16}}@{_LABEL}(?:\.{_LABEL}){{1,8}}"
MAX_EMAIL = 254  # RFC 5321: the longest address that can be delivered

_DAY = (
    r"[1-9][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
DATE = f"(?:{_DAY})"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.(?:[0-9]{3}|[0-9]{6}))?"
MOMENT = rf"{DATE}T{_CLOCK}(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
UTC_MOMENT = rf"{DATE}T{_CLOCK}(?:Z|\+00:00)"


def whole(pattern: str) -> str:
    r"""The pattern for a searching matcher. Not `$`, which lets a line break follow in Java."""
    return f"^(?:{pattern})\\z"


def word_pattern(word: str) -> str:
    """Finds a word, in any case, among words parted by commas or blanks."""
    edge = "[, \\t\\r\\n]"
    return f"(?i)(?:^|{edge}){re.escape(word)}(?:{edge}|$)"


CODES_BEGIN = "123456789"  # no calling code begins with 0
TRUNK_DIGITS = 3  # so many digits of a number are compared with its country's trunk prefix


_BUILT: dict[str, str] = {}  # no functools.cache: it cannot be pickled by value, this travels to the workers as built


def cheap_phone_pattern(first: str = CODES_BEGIN) -> str:
    """E.164 numbers of a possible length, written as they will be sent: a trie over the calling codes.

    Those that begin with one of the digits `first`: few countries make a pattern that is read soon. The lengths are
    those of `phonenumbers`. A national number that starts like its country's trunk prefix is left out, since reading it
    exactly may take that prefix away.
    """
    if first not in _BUILT:
        _BUILT[first] = _phone_pattern(first)
    return _BUILT[first]


def _phone_pattern(first: str) -> str:
    import phonenumbers

    trie: dict[str, object] = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        rest = _national(code, regions[0]) if str(code)[0] in first else ""
        if rest:
            way = list(str(code))
            branch = trie
            for digit in way[:-1]:
                branch = branch.setdefault(digit, {})  # type: ignore[assignment]
            branch[way[-1]] = rest
    return r"\+" + _written(trie)


def _national(code: int, region: str) -> str:
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if metadata is None or metadata.general_desc is None:
        return ""
    lengths = [length for length in metadata.general_desc.possible_length if length > TRUNK_DIGITS]
    return _digits(lengths, heads(metadata.national_prefix_for_parsing or "", TRUNK_DIGITS))


def _digits(lengths: Sequence[int], banned: frozenset[str]) -> str:
    """As many digits as one of the lengths, not beginning like any that are banned; "" where nothing is left."""
    if not lengths or "" in banned:
        return ""
    if not banned:
        return _runs(lengths)
    free = [digit for digit in DIGITS if not any(head.startswith(digit) for head in banned)]
    ways: dict[str, list[str]] = {}
    for digit in DIGITS:
        inner = frozenset() if digit in free else frozenset(head[1:] for head in banned if head[0] == digit)
        rest = _digits([length - 1 for length in lengths], inner)
        if rest:
            ways.setdefault(rest, []).append(digit)
    return _either(ways)


def _runs(lengths: Sequence[int]) -> str:
    """So many digits, neighbouring lengths as one range."""
    runs: list[tuple[int, int]] = []
    for length in sorted(lengths):
        joins = bool(runs) and runs[-1][1] == length - 1
        runs = [*runs[:-1], (runs[-1][0], length)] if joins else [*runs, (length, length)]
    texts = [f"[0-9]{{{low}}}" if low == high else f"[0-9]{{{low},{high}}}" for low, high in runs]
    return texts[0] if len(texts) == 1 else f"(?:{'|'.join(texts)})"


def _either(ways: dict[str, list[str]]) -> str:
    """One of the digits, and what follows it; digits that go on alike share one class."""
    texts = [(digits[0] if len(digits) == 1 else f"[{''.join(digits)}]") + rest for rest, digits in ways.items()]
    return texts[0] if len(texts) == 1 else f"(?:{'|'.join(texts)})" if texts else ""


def _written(trie: dict[str, object]) -> str:
    """The trie over the digits of the calling codes as a pattern."""
    ways: dict[str, list[str]] = {}
    for digit, rest in sorted(trie.items()):
        ways.setdefault(_written(rest) if isinstance(rest, dict) else str(rest), []).append(digit)
    return _either(ways)
