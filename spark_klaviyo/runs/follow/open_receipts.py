"""Finds the receipts whose jobs are open: in a folder, hidden places of cut-off runs included, or among given rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from spark_klaviyo.core.models import Receipt
from spark_klaviyo.datasets.schemas import RECEIPTS, missing_keys
from spark_klaviyo.datasets.spark_storage import STAGING
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.runs.outputs.results import RECEIPT, REJECT
from spark_klaviyo.runs.outputs.task_outputs import OPEN

Row = Mapping[str, object]
Key = tuple[object, ...]  # names a request that made a job
NAMES = [column.name for column in RECEIPTS]
ACCEPTED = "accepted"
STAGED_ROWS = 2_000  # result rows held at a time


@dataclass
class OpenReceipts:
    """`hidden`: requests whose receipts no reader sees yet. `folder`: where further rows go, if anywhere."""

    folder: Folder | None = None
    given: tuple[Row, ...] = ()
    hidden: set[Key] = field(default_factory=set)
    _used: list[str] = field(default_factory=list)

    @staticmethod
    def of(receipts: object) -> OpenReceipts:
        """A path or URI; a DataFrame of receipts, or `report.receipts`, for which no further rows are written."""
        if isinstance(receipts, str | Path):
            place = str(receipts)
            if is_table(place):
                raise OptionError("receipts: a table needs a Spark session: give the DataFrame, spark.table(...)")
            return OpenReceipts(Folder.at(place))
        if hasattr(receipts, "where") and hasattr(receipts, "collect"):
            rows = [row.asDict() for row in receipts.where("job_id IS NOT NULL").collect()]
            return OpenReceipts(given=tuple(rows))
        if isinstance(receipts, Iterable):
            kept = (asdict(one) for one in receipts if isinstance(one, Receipt))
            return OpenReceipts(given=tuple(kept))
        raise OptionError("receipts: must be the path of a receipts dataset, a DataFrame of it, or report.receipts")

    def rows(self) -> list[Row]:
        """One row for each request whose job is open."""
        if self.folder is None:
            return list(_open_of(self.given, self.given).values())
        names = self.folder.names()
        folders = {folder.path.rpartition("/")[2]: folder for folder in self.folder.folders()}
        if not names and not folders:
            raise OptionError(f"receipts: there are none at {self.folder.path}")
        visible = _open_of(self._read(self.folder, names), self._read(self.folder, names))
        hidden = dict(self._hidden(folders))
        for row in self._read(self.folder, names) if hidden else ():
            hidden.pop(key_of(row), None)
        self.hidden = set(hidden)
        return list({**hidden, **visible}.values())

    def staged_rejects(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """By run, the rejected rows of runs that were cut off before anything of theirs could be written."""
        staging = self.folder.child(STAGING) if self.folder is not None else None
        for run in staging.folders() if staging is not None else ():
            yield run.path.rpartition("/")[2], _told(run, REJECT)

    def clear_hidden(self) -> None:
        """Take away the hidden files of tasks that were cut off: their rows are in the dataset by now."""
        for name in self._used:
            if self.folder is not None:
                self.folder.child(OPEN).delete(name)

    def _read(self, folder: Folder, names: Iterable[str]) -> Iterator[Row]:
        """Receipts with a job, a file at a time."""
        for name in names:
            try:
                table = folder.read(name, NAMES)
            except (pa.ArrowException, OSError, KeyError) as error:
                raise OptionError(f"receipts: {name} cannot be read as receipts: is this their folder?") from error
            missing = missing_keys(RECEIPTS, table.column_names)
            if missing:
                raise OptionError(f"receipts: {name} holds something else: it has no column {', '.join(missing)}")
            for row in table.to_pylist():
                if row["job_id"]:
                    yield row

    def _hidden(self, folders: Mapping[str, Folder]) -> Iterator[tuple[Key, Row]]:
        """What cut-off tasks, and runs cut off while they followed their jobs, have left."""
        if OPEN in folders:
            self._used = folders[OPEN].names()
            for row in self._read(folders[OPEN], self._used):
                yield key_of(row), row
        for run in folders[STAGING].folders() if STAGING in folders else ():
            yield from _staged(run)


def _staged(run: Folder) -> Iterator[tuple[Key, Row]]:
    """Receipts with a job among the result rows of a run that never came to write them."""
    for row in _told(run, RECEIPT):
        if row.get("job_id"):
            yield key_of(row), row


def _told(run: Folder, kind: str) -> Iterator[Row]:
    """Result rows of one kind."""
    for name in run.names():
        for piece in run.read_batches(name, ["kind", "body"], STAGED_ROWS):
            kinds, bodies = (column.to_pylist() for column in piece.columns)
            yield from (json.loads(body) for one, body in zip(kinds, bodies, strict=True) if one == kind)


def key_of(row: Row) -> Key:
    """What names a receipt's request; several may have been answered with the same job."""
    return tuple(row[name] for name in ("job_id", "run_id", "partition_id", "sequence"))


def _open_of(first: Iterable[Row], again: Iterable[Row]) -> dict[Key, Row]:
    """Accepted rows by request, without those that a settled row replaces; read twice, so that few are held."""
    found = {key_of(row): row for row in first if row["outcome"] == ACCEPTED and row["job_id"]}
    for row in again:
        if row["outcome"] != ACCEPTED:
            found.pop(key_of(row), None)
    return found
