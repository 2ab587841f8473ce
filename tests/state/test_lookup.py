"""What a state says of rows is what a loop over all of its rows says, also once files are merged and compacted."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo.arrow.encoded import FINGERPRINT, ROW_STATUS, SPARK_ENCODED
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.state.compare import PLACE, Comparison, pack, unpack
from spark_klaviyo.state.format import COMPACT, JOBS, PART, SCHEMA, RowStatus, StateOutcome, salted
from spark_klaviyo.state.known import KNOWN, KnownTable, remove_known, write_known
from spark_klaviyo.state.rows import compact_locked, count_open, halves, merge_small_files, part_of
from tests.state.recorded import SCOPE, recorded
from tests.state.test_keys import plan_of

OTHER = b"o" * 16
Outcome = StateOutcome
Row = tuple[str, str]  # key and content; equal: known by its content alone


def hashed(name: str, scope: bytes = SCOPE) -> bytes:
    return salted(scope, name)


@dataclass(frozen=True)
class Stored:
    """A row of a state; `key` is empty where it describes a job."""

    key: str
    content: str
    outcome: StateOutcome
    job: str | None
    run: int
    scope: bytes = SCOPE

    def as_dict(self, at: int) -> dict[str, object]:
        content = hashed(self.content, self.scope) if self.key and self.outcome != Outcome.REFUSED else None
        return {
            "scope": self.scope, "key": hashed(self.key, self.scope) if self.key else None, "fingerprint": content,
            "outcome": self.outcome.value, "job_id": self.job, "run_id": "r", "partition_id": 0,
            "run_number": self.run, "at": at,
        }  # fmt: skip


keys, contents = st.sampled_from("abcd"), st.sampled_from("xyz")
runs, jobs, scopes = st.integers(1, 3), st.sampled_from(["j1", "j2"]), st.sampled_from([SCOPE, SCOPE, OTHER])
sent = st.builds(
    Stored, keys, contents, st.sampled_from([Outcome.SENT, Outcome.INTENT, Outcome.RESOLVED]), st.none(), runs, scopes
)
pending = st.builds(Stored, keys, contents, st.just(Outcome.PENDING), jobs, runs, scopes)
of_jobs = st.builds(Stored, st.just(""), st.just(""), st.sampled_from([Outcome.JOB_DONE, Outcome.JOB_LOST]), jobs, runs)
of_jobs |= st.builds(Stored, keys, st.just(""), st.just(Outcome.REFUSED), jobs, runs)
files = st.lists(st.lists(sent | pending, min_size=1, max_size=4), max_size=6)
pairs = st.tuples(keys, contents) | contents.map(lambda one: (one, one))
partitions = st.lists(st.lists(pairs, max_size=6), min_size=1, max_size=3)


def write_files(folder: Folder, prefix: str, files: Sequence[Sequence[Stored]]) -> list[tuple[Stored, int]]:
    """Write the rows; each with its time."""
    written, at = [], 0
    for number, rows in enumerate(files):
        timed = [(row, at + place) for place, row in enumerate(rows, 1)]
        at += len(rows)
        folder.write(f"{prefix}{number}.parquet", pa.Table.from_pylist([one.as_dict(t) for one, t in timed], SCHEMA))
        written += timed
    return written


def expected(
    stored: list[tuple[Stored, int]], ends: list[Stored], rows: list[Row], *, cautious: bool
) -> Counter[object]:
    """The rows to be sent or in doubt, and how many have each other status, by a loop over the rows of the state."""
    lost = {one.job for one in ends if one.outcome == Outcome.JOB_LOST}
    refused = {(one.job, one.key) for one in ends if one.outcome == Outcome.REFUSED}
    known: dict[bytes, tuple[bytes, ...]] = {}
    doubt = set[bytes]()
    for row, _ in sorted(stored, key=lambda pair: (pair[0].run, pair[1])):
        if row.scope != SCOPE or row.job in lost or (row.job, row.key) in refused:
            continue
        key = hashed(row.key)
        doubt -= {key}
        if row.outcome == Outcome.INTENT:
            doubt.add(key)
        elif row.outcome in (Outcome.SENT, Outcome.PENDING):
            known[key] = (hashed(row.content),)
    found: Counter[object] = Counter()
    numbers: Counter[str] = Counter()
    for place, (name, content) in enumerate(rows):
        numbers[content] += name == content
        number = f"{hashed(content).hex().upper()}\x1f{numbers[content]}"
        hash_of_key = hashed(number) if name == content else hashed(name)
        if name != content and any(name == other for other, _ in rows[place + 1 :]):
            found[RowStatus.REPLACED] += 1
        elif cautious and hash_of_key in doubt:
            found[RowStatus.IN_DOUBT, hash_of_key + hashed(content)] += 1
        elif known.get(hash_of_key) == (hashed(content),):
            found[RowStatus.DELIVERED] += 1
        else:
            found[RowStatus.TO_SEND, hash_of_key + hashed(content)] += 1
    return found


def encoded(rows: Sequence[Row]) -> pa.RecordBatch:
    columns = [
        pa.array(["{},"] * len(rows)),
        pa.array([0] * len(rows), pa.int64()),
        *[pa.nulls(len(rows), pa.string())] * 4,
    ]
    columns += [pa.array([hashed(row[place]) for row in rows], pa.binary()) for place in (0, 1)]
    return pa.RecordBatch.from_arrays(columns, schema=SPARK_ENCODED)


def compared(folder: Folder, plan: WritePlan, partitions: Sequence[Sequence[Row]]) -> Counter[object]:
    """The statuses that tasks find; Spark's shuffle is a sort here."""
    state = write_known(folder, StateLocation(folder.path, SCOPE, "run", 9), plan)
    comparison = Comparison(replace(plan, state=state), "")
    packed = [piece for n, rows in enumerate(partitions) for piece in pack(iter([encoded(rows)]), comparison, n)]
    shuffled = pa.Table.from_batches(packed).sort_by(PLACE).to_batches(max_chunksize=3)
    found: Counter[object] = Counter()
    for batch in unpack(iter(shuffled), comparison):
        for fingerprint, number in zip(
            batch.column(FINGERPRINT).to_pylist(), batch.column(ROW_STATUS).to_pylist(), strict=True
        ):
            status = RowStatus(number)
            found[(status, fingerprint) if status in (RowStatus.TO_SEND, RowStatus.IN_DOUBT) else status] += 1
    return found


@pytest.mark.oldest
@settings(max_examples=60, deadline=None)
@given(files=files, ends=st.lists(of_jobs, max_size=3), partitions=partitions, cautious=st.booleans())
def test_lookup_merge_and_compaction_agree_with_a_loop(
    files: list[list[Stored]], ends: list[Stored], partitions: list[list[Row]], cautious: bool
) -> None:
    plan = plan_of(template="create_profile" if cautious else "bulk_import_profiles")
    with tempfile.TemporaryDirectory() as place:
        folder = Folder.at(place)
        stored = write_files(folder, PART, files)
        write_files(folder, JOBS, [[one] for one in ends])
        wanted = expected(stored, ends, [row for rows in partitions for row in rows], cautious=cautious)
        assert compared(folder, plan, partitions) == wanted
        open_jobs = count_open(folder, StateLocation(place, SCOPE, "run"))
        for run_seconds in (0.0, 60.0):
            merge_small_files(folder, run_seconds)
            assert compared(folder, plan, partitions) == wanted
        assert len(folder.names()) <= 3
        assert count_open(folder, StateLocation(place, SCOPE, "run")).keys() <= open_jobs.keys()
        compact_locked(folder)
        assert compared(folder, plan, partitions) == wanted


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_every_key_is_in_one_part_and_parts_follow_each_other(parts: int) -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, (1_000, 2), np.uint64)
    hashes[0, 0], hashes[1, 0] = 0, 2**64 - 1
    part = part_of(hashes, parts)
    assert set(part.tolist()) == set(range(parts))
    assert (np.diff(part[np.argsort(hashes[:, 0])]) >= 0).all()


def test_a_large_state_is_read_in_parts_and_found_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_klaviyo.state.rows.PART_BYTES", 5_000)
    monkeypatch.setattr("spark_klaviyo.state.known.PART_BYTES", 5_000)
    folder = Folder.at(str(tmp_path))
    rows = [Stored(f"k{n}", f"c{n}", Outcome.SENT, None, 1) for n in range(500)]
    write_files(folder, PART, [rows[:250], rows[250:]])
    plan = plan_of(template="bulk_import_profiles")
    state = write_known(folder, StateLocation(folder.path, SCOPE, "run", 9), plan)
    assert len(KnownTable(state, state.known, "").starts) == 500
    assert compared(folder, plan, [[(f"k{n}", f"c{n}") for n in range(499)] + [("k499", "other")]]) == {
        RowStatus.DELIVERED: 499, (RowStatus.TO_SEND, hashed("k499") + hashed("other")): 1,
    }  # fmt: skip
    assert compact_locked(folder) == 2
    assert len(folder.names()) > 2
    assert sum(pq.read_table(file).num_rows for file in tmp_path.glob("compact-*")) == 500
    assert len(folder.names_with(KNOWN)) == 2


def test_rows_that_come_in_another_order_are_not_compared() -> None:
    comparison = Comparison(plan_of(template="bulk_import_profiles"), "")
    keys, rows = pack(iter([encoded([("a", "x")])]), comparison, 0)
    statuses = [batch.column(ROW_STATUS).to_pylist() for batch in unpack(iter([keys, rows]), comparison)]
    assert statuses == [[RowStatus.TO_SEND]]
    for order in ([keys, rows, keys], [rows, keys]):
        with pytest.raises(AssertionError, match="another order"):
            list(unpack(iter(order), comparison))


def test_merging_leaves_large_files_alone_and_ends_in_time(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    rows = [[Stored(f"k{n}", "c", Outcome.SENT, None, 1)] for n in range(6)]
    write_files(folder, PART, rows[:5])
    write_files(folder, "large-", rows[5:])
    large = f"{COMPACT}0-700000.parquet"  # as many rows as its name says
    (tmp_path / "large-0.parquet").rename(tmp_path / large)
    merge_small_files(folder, 0.0)
    assert (len(folder.names()), large in folder.names()) == (5, True)
    merge_small_files(folder, 60.0)
    assert (len(folder.names()), large in folder.names()) == (3, True)
    assert len(recorded(tmp_path)) == 6


def test_from_a_store_each_machine_fetches_what_is_known_once(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    folder = Folder.at("memory://shop/state")
    write_files(folder, PART, [[Stored("a", "x", Outcome.SENT, None, 1)]])
    state = write_known(
        folder, StateLocation("memory://shop/state", SCOPE, "run", 9), plan_of(template="create_profile")
    )
    (tmp_path / f"{KNOWN}of-an-earlier-run-rows").write_bytes(b"")
    for _ in range(2):
        table = KnownTable(state, state.known, str(tmp_path))
        assert [file.name for file in tmp_path.iterdir()] == [state.known]
        found, _ = table.find(halves(np.frombuffer(hashed("a") + hashed("b"), np.uint8).reshape(2, 16)))
        assert found.tolist() == [True, False]
        remove_known(folder, [state.known])
