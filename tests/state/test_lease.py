"""Who works with a state: signs of life, watched without comparing clocks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.state.format import FORMAT, StateError, read_format, salted, scope_of
from spark_klaviyo.state.lease import Lease, here, living, owner_of
from spark_klaviyo.state.notes import notes, read_note, write_note

STALE = 0.5


def lease(folder: Folder, owner: str, lost: list[str] | None = None) -> Lease:
    return Lease(folder, "_n.json", owner, STALE, (lost if lost is not None else []).append)


def folder_at(path: Path) -> Folder:
    folder = Folder.at(str(path))
    folder.make()
    return folder


def test_a_note_that_is_renewed_is_alive_and_one_that_is_given_back_is_gone(tmp_path: Path) -> None:
    folder, held = folder_at(tmp_path), lease(folder_at(tmp_path), "me")
    held.take()
    assert living(folder, ["_n.json"], 5.0) == ["_n.json"]
    assert owner_of(folder, "_n.json") == "me"
    held.release()
    assert living(folder, ["_n.json"], 5.0) == []
    assert notes(folder, "_") == []


def test_a_note_of_another_machine_that_is_not_renewed_is_dead_after_a_while(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    write_note(folder, "_n.json", {"owner": "x", **here(), "machine": "elsewhere", "beat": 1, "at": time.time()})
    began = time.monotonic()
    assert living(folder, ["_n.json"], STALE) == []
    assert time.monotonic() - began >= STALE


def test_a_process_of_this_machine_that_has_ended_is_dead_at_once(tmp_path: Path) -> None:
    if not here()["machine"]:
        pytest.skip("this system does not tell processes apart")
    folder = folder_at(tmp_path)
    code = "import json; from spark_klaviyo.state.lease import here; print(json.dumps(here()))"
    ended = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    write_note(folder, "_n.json", {"owner": "x", **ended, "beat": 1})
    began = time.monotonic()
    assert living(folder, ["_n.json"], 60.0) == []
    assert time.monotonic() - began < 5


def test_a_holder_learns_that_it_was_replaced_and_leaves_the_note_to_the_other(tmp_path: Path) -> None:
    folder, lost = folder_at(tmp_path), list[str]()
    held = lease(folder, "me", lost)
    held.take()
    write_note(folder, "_n.json", {"owner": "you"})
    time.sleep(STALE)
    held.release()
    assert len(lost) == 1
    assert owner_of(folder, "_n.json") == "you"


def test_a_note_that_is_just_being_written_in_a_store_is_looked_at_again(tmp_path: Path) -> None:
    store = Folder(pafs.SubTreeFileSystem("/", pafs.LocalFileSystem()), str(tmp_path).lstrip("/"))  # writes in place
    (tmp_path / "_n.json").write_bytes(b"")
    writer = threading.Timer(0.15, write_note, (store, "_n.json", {"owner": "me"}))
    writer.start()
    assert owner_of(store, "_n.json") == "me"
    writer.join()
    assert owner_of(store, "_missing.json") == ""


def test_a_half_written_note_belongs_to_nobody(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    (tmp_path / "_n.json").write_text('{"owner": "m')
    assert owner_of(folder, "_n.json") == ""
    assert read_note(folder, "_missing.json") is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"format": 1}', b'{"format": 2, "runs": 3}', b'{"format": "x"}']
)
def test_a_format_that_is_not_ours_is_refused_with_what_to_do(content: bytes) -> None:
    with pytest.raises(StateError):
        read_format(content)


def test_the_runs_of_a_state_are_counted() -> None:
    assert read_format(None) == 0
    assert read_format(json.dumps({"format": FORMAT, "runs": 7}).encode()) == 7


def test_accounts_templates_and_settings_have_scopes_of_their_own_whatever_their_order() -> None:
    one = {"template": "t", "settings": {"list_id": "A", "x": "1"}}
    assert scope_of("acc", one) == scope_of("acc", dict(reversed(one.items())))
    others = [scope_of("acc", {**one, "settings": {"list_id": "B"}}), scope_of("other", one), scope_of("acc", {})]
    assert len({scope_of("acc", one), *others}) == 4
    assert salted(scope_of("acc", one), "email=a") != salted(scope_of("other", one), "email=a")
