"""Patterns of texts that are clearly fine; what they do not match is looked at exactly.

Each is valid, and means the same, in Java, RE2 and Python, and is meant to match the WHOLE text (`whole` adds the
anchors for the first two). Repetitions of groups are bounded, because Java's matcher recurses into them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

# A blank of Unicode's anywhere but ASCII, which `\s` does not mean in Java and RE2.
_BLANKS = "\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_BLANK = f"[^\\s{_BLANKS}](?s:.*)"

_ATOM, _LABEL = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", "[A-Za-z0-9-]+"
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
    """Finds a word among words parted by commas or blanks."""
    edge = "[, \\t\\r\\n]"
    return f"(?:^|{edge}){re.escape(word)}(?:{edge}|$)"


@cache
def cheap_phone_pattern() -> str:
    """E.164 numbers of a possible length, written as they will be sent: a trie over the calling codes.

    The lengths are those of `phonenumbers`. A national number that starts like its country's trunk prefix is left out,
    since reading it exactly may take that prefix away.
    """
    import phonenumbers

    trie: dict[str, object] = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        rest = _national(code, regions[0])
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
    lengths = [length for length in metadata.general_desc.possible_length if length > 1]
    firsts = set("0123456789") - first_digits(metadata.national_prefix_for_parsing or "")
    return f"[{''.join(sorted(firsts))}]{_lengths(lengths)}" if lengths and firsts else ""


def _lengths(lengths: Sequence[int]) -> str:
    """Digits after the first one, neighbouring lengths as one range."""
    runs: list[tuple[int, int]] = []
    for length in sorted(lengths):
        joins = bool(runs) and runs[-1][1] == length - 2
        runs = [*runs[:-1], (runs[-1][0], length - 1)] if joins else [*runs, (length - 1, length - 1)]
    texts = [f"[0-9]{{{low}}}" if low == high else f"[0-9]{{{low},{high}}}" for low, high in runs]
    return texts[0] if len(texts) == 1 else f"(?:{'|'.join(texts)})"


def _written(trie: dict[str, object]) -> str:
    """The trie as an alternation; digits that go on alike share one class."""
    ways: dict[str, list[str]] = {}
    for digit, rest in sorted(trie.items()):
        ways.setdefault(_written(rest) if isinstance(rest, dict) else str(rest), []).append(digit)
    texts = [(digits[0] if len(digits) == 1 else f"[{''.join(digits)}]") + rest for rest, digits in ways.items()]
    return texts[0] if len(texts) == 1 else f"(?:{'|'.join(texts)})"


# --- with what digits can a match of a simple pattern begin ---------------------------------------

_ANY = frozenset("0123456789")


def first_digits(pattern: str) -> frozenset[str]:
    """The digits that a match of `pattern` can begin with; all of them where the pattern is not understood.

    Understood are digits, classes, `\\d`, groups, alternatives and the quantifiers of `phonenumbers` metadata.
    """
    return frozenset().union(*map(_first_of, _alternatives(pattern)))


def _first_of(pattern: str) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    while pattern:
        atom, pattern = _atom(pattern)
        found |= _digits(atom)
        if not pattern.startswith(("?", "*", "{0")):
            return found
        pattern = pattern.partition("}")[2] if pattern[0] == "{" else pattern[1:]
    return found


def _digits(atom: str) -> frozenset[str]:
    if atom.isdigit():
        return frozenset(atom)
    if atom.startswith("["):
        return frozenset(_members(atom[1:-1])) if not atom.startswith("[^") else _ANY
    if atom.startswith("(") and (atom.startswith("(?:") or not atom.startswith("(?")):
        return first_digits(atom[1:-1].removeprefix("?:"))
    return _ANY


def _members(inside: str) -> Iterable[str]:
    position = 0
    while position < len(inside):
        if inside[position + 1 : position + 2] == "-":
            yield from map(chr, range(ord(inside[position]), ord(inside[position + 2]) + 1))
            position += 3
        else:
            yield inside[position]
            position += 1


def _atom(pattern: str) -> tuple[str, str]:
    """The first atom and the rest."""
    end = 2 if pattern[0] == "\\" else pattern.index("]") + 1 if pattern[0] == "[" else 1
    if pattern[0] == "(":
        end = next(i for i in range(1, len(pattern) + 1) if _depth(pattern[:i]) == 0)
    return pattern[:end], pattern[end:]


def _depth(text: str) -> int:
    return text.count("(") - text.count(")")


def _alternatives(pattern: str) -> list[str]:
    parts = [""]
    for character in pattern:
        if character == "|" and _depth(parts[-1]) == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
