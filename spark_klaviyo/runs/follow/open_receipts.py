"""Finds the receipts whose jobs are open: in a folder, hidden files of killed runs included, or among given rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from spark_klaviyo.core.codes import ReceiptOutcome
from spark_klaviyo.core.models import Receipt
from spark_klaviyo.datasets.schemas import RECEIPTS, missing_keys
from spark_klaviyo.datasets.spark_storage import STAGING
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import is_table
from spark_klaviyo.runs.outputs.crash_receipts import OPEN_RECEIPTS
from spark_klaviyo.runs.outputs.results import ResultKind

Row = Mapping[str, object]
Key = tuple[object, ...]  # names a request
NAMES = [column.name for column in RECEIPTS]
STAGED_ROWS = 2_000  # result rows held at a time


@dataclass
class OpenReceipts:
    """Receipts of open jobs.

    `folder`: where further rows are appended, if anywhere. `hidden`: requests whose receipts readers do not see yet.
    """

    folder: Folder | None = None
    given: tuple[Row, ...] = ()
    hidden: set[Key] = field(default_factory=set)
    _hidden_names: list[str] = field(default_factory=list)

    @staticmethod
    def of(receipts: object) -> OpenReceipts:
        """A path or URI; a DataFrame of receipts, or `report.receipts`, for which no further rows are written."""
        if isinstance(receipts, str | Path):
            if is_table(str(receipts)):
                raise OptionError("receipts: a table needs a Spark session: give the DataFrame, spark.table(...)")
            return OpenReceipts(Folder.at(str(receipts)))
        if hasattr(receipts, "where") and hasattr(receipts, "collect"):
            rows = receipts.where("job_id IS NOT NULL").collect()
            return OpenReceipts(given=tuple(row.asDict() for row in rows))
        if isinstance(receipts, Iterable):
            return OpenReceipts(given=tuple(asdict(one) for one in receipts if isinstance(one, Receipt)))
        raise OptionError("receipts: must be the path of a receipts dataset, a DataFrame of it, or report.receipts")

    def rows(self) -> list[Row]:
        """One row for each request whose job is open; files are read twice, so that few rows are held."""
        if self.folder is None:
            return list(_open_rows(self.given, self.given, {}).values())
        names = self.folder.names()
        folders = {folder.path.rpartition("/")[2]: folder for folder in self.folder.folders()}
        if not names and not folders:
            raise OptionError(f"receipts: there are none at {self.folder.path}")
        hidden = {key_of(row): row for row in self._hidden_rows(folders)}
        visible = _open_rows(_read(self.folder, names), _read(self.folder, names), hidden)
        self.hidden = set(hidden)
        return [*hidden.values(), *visible.values()]

    def staged_rejects(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """By run, the rejected rows of runs that were killed before they wrote any dataset."""
        staging = self.folder.child(STAGING) if self.folder is not None else None
        for run in staging.folders() if staging is not None else ():
            yield run.path.rpartition("/")[2], _staged_rows(run, ResultKind.REJECT)

    def clear_hidden(self) -> None:
        """Delete the hidden files of killed tasks: their rows are in the dataset by now."""
        for name in self._hidden_names:
            if self.folder is not None:
                self.folder.child(OPEN_RECEIPTS).delete(name)

    def _hidden_rows(self, folders: Mapping[str, Folder]) -> Iterator[Row]:
        """Receipts with a job that killed tasks have left, and runs that were killed while they followed their jobs."""
        if OPEN_RECEIPTS in folders:
            self._hidden_names = folders[OPEN_RECEIPTS].names()
            yield from _read(folders[OPEN_RECEIPTS], self._hidden_names)
        for run in folders[STAGING].folders() if STAGING in folders else ():
            yield from (row for row in _staged_rows(run, ResultKind.RECEIPT) if row.get("job_id"))


def _read(folder: Folder, names: Iterable[str]) -> Iterator[Row]:
    """Receipts with a job, a file at a time."""
    for name in names:
        try:
            table = folder.read(name, NAMES)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise OptionError(f"receipts: {name} cannot be read as receipts: is this their folder?") from error
        missing = missing_keys(RECEIPTS, table.column_names)
        if missing:
            raise OptionError(f"receipts: {name} holds something else: it has no column {', '.join(missing)}")
        yield from (row for row in table.to_pylist() if row["job_id"])


def _staged_rows(run: Folder, kind: ResultKind) -> Iterator[Row]:
    for name in run.names():
        for piece in run.read_batches(name, ["kind", "body"], STAGED_ROWS):
            kinds, bodies = (column.to_pylist() for column in piece.columns)
            yield from (json.loads(body) for one, body in zip(kinds, bodies, strict=True) if one == kind)


def key_of(row: Row) -> Key:
    """What names a receipt's request; several requests may have been answered with the same job."""
    return tuple(row[name] for name in ("job_id", "run_id", "partition_id", "sequence"))


def _open_rows(rows: Iterable[Row], again: Iterable[Row], hidden: dict[Key, Row]) -> dict[Key, Row]:
    """Accepted rows by request, without those that a later row replaces. Takes visible requests out of `hidden`."""
    found = {key_of(row): row for row in rows if row["outcome"] == ReceiptOutcome.ACCEPTED and row["job_id"]}
    for row in again:
        hidden.pop(key_of(row), None)
        if row["outcome"] != ReceiptOutcome.ACCEPTED:
            found.pop(key_of(row), None)
    return found
