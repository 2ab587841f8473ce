"""JSON set out over lines without reading its values, so that every digit and escape stays as it is sent."""

from __future__ import annotations

import re

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_OPENS, _CLOSES = "{[", "}]"


def indented(text: str) -> str:
    """The JSON text with two blanks a level; empty objects and arrays stay on one line."""
    out: list[str] = []
    level = 0
    for piece in _PIECE.findall(text):
        if piece in _CLOSES:
            level -= 1
            out.append("" if out and out[-1] in _OPENS else _line(level))
        elif out and out[-1] in _OPENS:
            out.append(_line(level))
        out.append(piece)
        if piece in _OPENS:
            level += 1
        elif piece in (",", ":"):
            out.append(_line(level) if piece == "," else " ")
    return "".join(out)


def _line(level: int) -> str:
    return "\n" + "  " * level
