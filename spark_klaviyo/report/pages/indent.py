"""JSON indented without reading its values, so that every digit and escape stays as it is sent."""

from __future__ import annotations

import re

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def indented(text: str) -> str:
    """The JSON text with two blanks a level; empty objects and arrays stay on one line."""
    pieces: list[str] = []
    level = 0
    for piece in _PIECE.findall(text):
        is_first = bool(pieces) and pieces[-1] in "{["
        if piece in "}]":
            level -= 1
        if is_first != (piece in "}]"):  # neither the end of an empty object nor a value after a comma or colon
            pieces.append(_new_line(level))
        pieces.append(piece)
        if piece in "{[":
            level += 1
        elif piece in ",:":
            pieces.append(_new_line(level) if piece == "," else " ")
    return "".join(pieces)


def _new_line(level: int) -> str:
    return "\n" + "  " * level
