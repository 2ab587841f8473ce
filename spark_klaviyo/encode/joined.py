"""Parts of each row run together: all of them held as one array, every row's picked from it in a single gather.

That is about half the CPU of `binary_join_element_wise`, and a part that only some rows have costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.encode.buffers import MAX_BYTES, Mask, bits, content_of, masked, valid_rows, without_nulls

STRING = pa.string()
NOTHING = pa.py_buffer(b"")
MOST_CASES = 6  # sets of rows whose texts are held for every case: 2 to the power of it
MOST_KNOWN = 10_000  # runs of texts that are remembered
_CHOICES: dict[tuple[tuple[str, int | None], ...], tuple[list[str], int]] = {}


@dataclass(frozen=True)
class Some:
    """A part that only these rows have."""

    part: str | pa.Array
    rows: Mask


Part: TypeAlias = "str | pa.Array | Some"  # a null of an array is nothing


def both(first: Mask | None, second: Mask | None) -> Mask | None:
    """The rows of both; None: all of them."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def only(parts: Iterable[Part], rows: Mask | None) -> tuple[Part, ...]:
    """The same parts in these rows alone; None: wherever they are."""
    if rows is None:
        return tuple(parts)
    known: dict[int, Mask] = {}  # what has the same rows before has the same rows after

    def limited(part: Part) -> Part:
        if not isinstance(part, Some):
            return Some(part, rows)
        found = known.get(id(part.rows))
        if found is None:
            found = known[id(part.rows)] = part.rows & rows
        return Some(part.part, found)

    return tuple(map(limited, parts))


def join(parts: Iterable[Part], rows: int, there: Mask | None = None) -> pa.Array:
    """The parts of each row, one after the other; null in rows that are not `there`.

    Raises ArrowCapacityError where the texts may not fit in one array.
    """
    slots = list(_slots(parts))
    if rows == 0 or not slots:
        return masked(pa.array([""] * rows, STRING), there)
    if len(slots) == 1 and isinstance(slots[0], _Held) and slots[0].rows is None:
        return masked(slots[0].array, there)
    texts, places = [""], np.empty((rows, len(slots)), np.int32)  # text 0 is nothing
    most = 0
    for number, slot in enumerate(slots):
        if isinstance(slot, _Texts):
            np.add(slot.case(), np.int32(len(texts)), out=places[:, number])
            choices, longest = slot.choices()
            texts += choices
            most += rows * longest
    held, start, each = [pa.array(texts, STRING)], len(texts), np.arange(rows, dtype=np.int32)
    for number, slot in enumerate(slots):
        if isinstance(slot, _Held):
            place = each + np.int32(start)
            places[:, number] = place if slot.rows is None else place * slot.rows
            held.append(without_nulls(slot.array))
            start += rows
            most += len(content_of(slot.array))
    if most > MAX_BYTES:
        raise pa.ArrowCapacityError("more text than one array can hold")
    run = pc.take(pa.concat_arrays(held), pa.array(places.reshape(-1)), boundscheck=False)
    _, offsets, content = run.buffers()
    starts = np.frombuffer(offsets, np.int32)[: rows * len(slots) + 1 : len(slots)]
    return pa.StringArray.from_buffers(rows, pa.py_buffer(starts.copy()), content or NOTHING, bits(there))


@dataclass
class _Held:
    """An array, and the rows that have a text of it; None: all."""

    array: pa.Array
    rows: Mask | None


class _Texts:
    """Texts without an array between them. Which of them a row has is its case, a bit for each set of rows."""

    def __init__(self) -> None:
        self._run: list[tuple[str, int | None]] = []
        self._sets: list[Mask] = []

    def add(self, text: str, rows: Mask | None) -> bool:
        """Take one more; False: there are too many cases."""
        bit = None
        if rows is not None:
            bit = next((number for number, known in enumerate(self._sets) if known is rows), len(self._sets))
            if bit == MOST_CASES:
                return False
            if bit == len(self._sets):
                self._sets.append(rows)
        self._run.append((text, bit))
        return True

    def case(self) -> npt.NDArray[np.uint8] | int:
        """The case of each row."""
        if not self._sets:
            return 0
        case = self._sets[0].view(np.uint8)
        for bit, rows in enumerate(self._sets[1:], 1):
            case = case | np.left_shift(rows.view(np.uint8), np.uint8(bit))
        return case

    def choices(self) -> tuple[list[str], int]:
        """The text of each case, and how many bytes the longest has; the same for every batch of a plan."""
        run = tuple(self._run)
        known = _CHOICES.get(run)
        if known is None:
            cases = range(1 << len(self._sets))
            texts = ["".join(text for text, bit in run if bit is None or case >> bit & 1) for case in cases]
            known = texts, max(len(text.encode()) for text in texts)
            if len(_CHOICES) >= MOST_KNOWN:
                _CHOICES.clear()
            _CHOICES[run] = known
        return known


def _slots(parts: Iterable[Part]) -> Iterator[_Held | _Texts]:
    """Arrays, and runs of texts between them."""
    texts: _Texts | None = None
    for part in parts:
        content, rows = (part.part, part.rows) if isinstance(part, Some) else (part, None)
        if not isinstance(content, str):
            texts = None
            yield _Held(content, both(rows, valid_rows(content)))
        elif content and (texts is None or not texts.add(content, rows)):
            texts = _Texts()
            texts.add(content, rows)
            yield texts
