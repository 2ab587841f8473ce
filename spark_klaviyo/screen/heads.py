"""With what digits a match of a simple pattern can begin: what a country's trunk prefix looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable

DIGITS = "0123456789"
_ANY = frozenset(DIGITS)


def heads(pattern: str, most: int) -> frozenset[str]:
    """The digits, at most `most`, with which a match of `pattern` can begin; the empty match does not count.

    Understood are digits, classes, groups, alternatives, `$` and the quantifiers of `phonenumbers` metadata; anything
    else, such as `\\d`, may be any digit.
    """
    found = frozenset().union(*(_sequence(part, most) for part in _alternatives(pattern)))
    return found - {""}


def _sequence(pattern: str, most: int) -> frozenset[str]:
    found = frozenset({""})
    while pattern and any(len(head) < most for head in found):
        atom, pattern = _atom(pattern)
        low, high, pattern = _repeated(pattern)
        options = _options(atom, most)
        for turn in range(min(high, most)):
            longer = frozenset((head + option)[:most] for head in found for option in options)
            found = longer if turn < low else found | longer
    return found


def _options(atom: str, most: int) -> frozenset[str]:
    if atom.isdigit():
        return frozenset({atom})
    if atom == "$":
        return frozenset({""})
    if atom.startswith("[") and not atom.startswith("[^"):
        return frozenset(_members(atom[1:-1]))
    if atom.startswith("(") and (atom.startswith("(?:") or not atom.startswith("(?")):
        return frozenset().union(*(_sequence(part, most) for part in _alternatives(atom[1:-1].removeprefix("?:"))))
    return _ANY


_QUANTIFIER = re.compile(r"[?*+]|\{(\d+)(?:,(\d*))?\}")


def _repeated(pattern: str) -> tuple[int, int, str]:
    """How often the atom before stands at least and at most, and the rest of the pattern."""
    found = _QUANTIFIER.match(pattern)
    if found is None:
        return 1, 1, pattern
    rest = pattern[found.end() :]
    if found[1] is not None:
        high = found[1] if found[2] is None else found[2] or "99"
        return int(found[1]), int(high), rest
    return (1 if found[0] == "+" else 0), (1 if found[0] == "?" else 99), rest


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
