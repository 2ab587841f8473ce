"""What a state knows of the rows of a run, as one file that the tasks map into their memory: sorted hashes.

The calling process writes it next to the files of the state, hidden, under a name of its own, and deletes it at the
end. It opens files itself, as no other place needs files that are mapped.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_klaviyo.arrow.arrays import Ints
from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.state.format import StateOutcome
from spark_klaviyo.state.rows import (
    DELIVERED,
    PART_BYTES,
    Hashes,
    JobEnds,
    hashes_of,
    identities,
    last_rows,
    part_of,
    parts_of,
    row_files,
    whole,
    with_outcome,
)

KNOWN = "_known-"
READ = ["scope", "key", "fingerprint", "outcome", "job_id", "run_number", "at"]
# A row of the file, behind which the first halves of all keys stand alone, as they are searched.
KNOWN_ROW = np.dtype([("key", "<u8", 2), ("content", "<u8", 2), ("run_number", "<i8"), ("at", "<i8"), ("flags", "<i8")])
WAS_DELIVERED, IN_DOUBT = 1, 2  # flags
KEY_BYTES = 8

KnownRows = npt.NDArray[np.void]  # of `KNOWN_ROW`


def write_known(folder: Folder, state: StateLocation, plan: WritePlan) -> StateLocation:
    """The state of a run, with the files that its tasks look rows up in; where nothing is known there is none.

    What takes people away, or deletes, is never skipped because it was done before: there only a run that was cut off
    counts. A merge leaves nothing that could be merged again.
    """
    template = plan.template
    is_repeated = template.takes_away or (template.deletes and not template.merges)
    jobs = JobEnds(folder)
    name = f"{KNOWN}{uuid.uuid4().hex}"  # a micro-batch that is repeated has the id of the run before
    known = removed = ""
    if state.continues or not is_repeated:
        only_run = state.continues if is_repeated else None
        known = _write(folder, f"{name}-rows", _last_delivered(folder, jobs, state.scope, only_run))
    if state.removals and known and adds_people(plan):
        removed = _write(folder, f"{name}-removed", _last_delivered(folder, jobs, state.removals, None))
    return replace(state, known=known, removed=removed)


def adds_people(plan: WritePlan) -> bool:
    """Whether the rows are people who may have been removed since they were delivered."""
    return OnDelete.SUPPRESS in plan.template.delete_templates and not plan.template.takes_away


def remove_known(folder: Folder, names: Iterable[str]) -> None:
    """Delete such files; what a task has mapped stays readable."""
    with suppress(OSError):  # the next run does it
        folder.delete(*names)


def _last_delivered(folder: Folder, jobs: JobEnds, scope: bytes, only_run: int | None) -> Iterator[KnownRows]:
    """For each key of the scope the content that was delivered last, when, and whether the key is in doubt; sorted.

    Every file is read once; the rows of each part of all keys wait in a temporary file, where they are many.
    """
    parts = parts_of(folder)
    with ExitStack() as held:
        spools = [held.enter_context(SpooledTemporaryFile(PART_BYTES // parts)) for _ in range(parts)]
        for name in row_files(folder):
            rows = _read(folder, name, jobs, scope, only_run)
            part = part_of(rows["key"], parts)
            for number, spool in enumerate(spools):
                spool.write(_picked(rows, part == number).tobytes())
            del rows
        for spool in spools:
            spool.seek(0)
            rows = np.frombuffer(spool.read(), KNOWN_ROW)
            keys, *times = (np.ascontiguousarray(rows[column]) for column in ("key", "run_number", "at"))
            flags = rows["flags"]
            delivered, intent, final, in_doubt = last_rows(keys, times, flags == WAS_DELIVERED, flags == IN_DOUBT)
            found = _picked(rows, np.where(delivered >= 0, delivered, np.maximum(intent, final)))
            found["flags"] = (delivered >= 0) * WAS_DELIVERED + in_doubt * IN_DOUBT
            yield found


def _picked(rows: KnownRows, chosen: npt.NDArray[np.bool_] | Ints) -> KnownRows:
    """These rows; numpy copies rows without fields as a whole, which is several times as fast."""
    return rows.view(f"V{KNOWN_ROW.itemsize}")[chosen].view(KNOWN_ROW)


def _read(folder: Folder, name: str, jobs: JobEnds, scope: bytes, only_run: int | None) -> KnownRows:
    """The rows of a file that count, with a flag for what each says: delivered, about to be sent, or neither."""
    rows = folder.read(name, READ)
    wanted = pc.equal(rows["scope"], pa.scalar(scope, pa.binary()))
    if only_run is not None:
        wanted = pc.and_(wanted, pc.equal(rows["run_number"], only_run))
    rows = jobs.live(rows if pc.all(wanted).as_py() else rows.filter(wanted))
    is_delivered, is_intent = with_outcome(rows, *DELIVERED), with_outcome(rows, StateOutcome.INTENT)
    found = np.empty(len(rows), KNOWN_ROW)
    found["key"], found["content"] = identities(rows), hashes_of(rows, "fingerprint")
    for column in ("run_number", "at"):
        found[column] = whole(rows[column].cast(pa.int64())).to_numpy()
    found["flags"] = is_delivered * WAS_DELIVERED + is_intent * IN_DOUBT
    return found


def _write(folder: Folder, name: str, parts: Iterator[KnownRows]) -> str:
    """The name of the file; empty, and no file, where there is no row."""
    starts = []
    with folder.system.open_output_stream(f"{folder.path}/{name}") as file:
        for rows in parts:
            file.write(rows.tobytes())
            starts.append(rows["key"][:, 0].tobytes())
        file.write(b"".join(starts))
    if any(starts):
        return name
    folder.delete(name)
    return ""


# --- in tasks -------------------------------------------------------------------------------------


class KnownTable:
    """The rows of the file of this name by their keys; nothing of it is in memory until it is searched.

    From a store it is fetched once into `cache`, a folder of this machine.
    """

    def __init__(self, state: StateLocation, name: str, cache: str) -> None:
        self.starts: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self.rows: KnownRows = np.empty(0, KNOWN_ROW)
        if name:
            folder = Folder.at(state.path)
            path = _fetched(folder, name, cache) if folder.is_object_store else Path(folder.path, name)
            count = path.stat().st_size // (KNOWN_ROW.itemsize + KEY_BYTES)
            self.rows = np.memmap(path, KNOWN_ROW, "r", 0, (count,))
            self.starts = np.memmap(path, np.uint64, "r", count * KNOWN_ROW.itemsize, (count,))

    def find(self, keys: Hashes) -> tuple[npt.NDArray[np.bool_], KnownRows]:
        """Which of the keys are known, and a row for each key, meaningless where it is not.

        Ten million keys hold two with one first half with a probability of 3 in a million; one of them is not found.
        """
        if not len(self.starts) or not len(keys):
            return np.zeros(len(keys), np.bool_), np.zeros(len(keys), KNOWN_ROW)
        order = np.argsort(keys[:, 0])  # neighbours are found in the same pages of memory
        places = np.empty(len(keys), np.int64)
        places[order] = self.starts.searchsorted(keys[order, 0])
        places = np.minimum(places, len(self.starts) - 1)
        rows = _picked(self.rows, places)
        return (rows["key"] == keys).all(axis=1), rows


def _fetched(folder: Folder, name: str, cache: str) -> Path:
    """The path of a copy on this machine; copies of other runs are deleted."""
    here = Path(cache or tempfile.gettempdir(), name)
    if here.exists():
        return here
    run = name.rpartition("-")[0]
    for old in here.parent.glob(f"{KNOWN}*"):
        if not old.name.startswith(run):
            with suppress(OSError):
                old.unlink()
    hidden = here.with_name(f"{name}.{uuid.uuid4().hex}")
    with folder.system.open_input_stream(f"{folder.path}/{name}") as source, hidden.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    return hidden.replace(here)
