"""Leases: renewed by their holder, watched by others without comparing clocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.state.lock import Lease, active_leases, owner_of, this_process

STALE = 0.5


def lease(folder: Folder, owner: str, lost: list[str] | None = None) -> Lease:
    return Lease(folder, "_n.json", owner, STALE, (lost if lost is not None else []).append)


def folder_at(path: Path) -> Folder:
    folder = Folder.at(str(path))
    folder.make()
    return folder


def test_a_lease_is_active_while_it_is_renewed_and_gone_once_it_is_released(tmp_path: Path) -> None:
    folder, held = folder_at(tmp_path), lease(folder_at(tmp_path), "me")
    held.acquire()
    assert active_leases(folder, ["_n.json"], 5.0) == ["_n.json"]
    assert owner_of(folder, "_n.json") == "me"
    held.release()
    assert active_leases(folder, ["_n.json"], 5.0) == []
    assert folder.names_with("_") == []


def test_a_lease_of_another_machine_that_is_not_renewed_is_dead_after_the_stale_time(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    folder.write_json("_n.json", {"owner": "x", **this_process(), "machine": "elsewhere", "beat": 1, "at": time.time()})
    began = time.monotonic()
    assert active_leases(folder, ["_n.json"], STALE) == []
    assert time.monotonic() - began >= STALE


@pytest.mark.parametrize("is_reaped", [True, False])
def test_a_lease_of_a_process_of_this_machine_that_has_ended_is_dead_at_once(tmp_path: Path, is_reaped: bool) -> None:
    if not this_process()["machine"]:
        pytest.skip("this system has no process numbers of its own")
    folder = folder_at(tmp_path)
    code = "import json; from spark_klaviyo.state.lock import this_process; print(json.dumps(this_process()))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        holder = json.loads(process.stdout.read())
        os.waitid(os.P_PID, process.pid, os.WEXITED | (0 if is_reaped else os.WNOWAIT))
        folder.write_json("_n.json", {"owner": "x", **holder, "beat": 1})
        began = time.monotonic()
        assert active_leases(folder, ["_n.json"], 60.0) == []
        assert time.monotonic() - began < 5


def test_a_holder_notices_that_it_was_replaced_and_leaves_the_lease_to_the_other(tmp_path: Path) -> None:
    folder, lost = folder_at(tmp_path), list[str]()
    held = lease(folder, "me", lost)
    held.acquire()
    folder.write_json("_n.json", {"owner": "you"})
    time.sleep(STALE)
    held.release()
    assert len(lost) == 1
    assert owner_of(folder, "_n.json") == "you"


def test_a_lease_that_is_just_being_written_in_a_store_is_read_again(tmp_path: Path) -> None:
    store = Folder(pafs.SubTreeFileSystem("/", pafs.LocalFileSystem()), str(tmp_path).lstrip("/"))  # writes in place
    (tmp_path / "_n.json").write_bytes(b"")
    writer = threading.Timer(0.15, store.write_json, ("_n.json", {"owner": "me"}))
    writer.start()
    assert owner_of(store, "_n.json") == "me"
    writer.join()
    assert owner_of(store, "_missing.json") == ""


def test_a_half_written_lease_has_no_owner(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    (tmp_path / "_n.json").write_text('{"owner": "m')
    assert owner_of(folder, "_n.json") == ""
    assert folder.read_json("_missing.json") is None
