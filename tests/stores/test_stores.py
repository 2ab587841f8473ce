"""Datasets, states and keys in object stores, against servers on loopback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests

from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.core.stores import FSSPEC, NoStoreError, open_store
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.http.reachable import can_connect
from spark_klaviyo.options.secrets import read_secret
from spark_klaviyo.state.lock import Lease, locked_state
from tests.connect.apart import environment

REPOSITORY = Path(__file__).parents[2]
JOB = Path(__file__).with_name("job.py")
CAPTURED: Any = {"capture_output": True, "text": True, "timeout": 280}
IN_A_VOLUME = """
set -e
"$0" "$1/volume.py" "$2" /Volumes
trap 'umount --lazy /Volumes' EXIT
mkdir -p /Volumes/main/crm/files
"$0" "$1/job.py" /Volumes/main/crm/files
if echo more >>/Volumes/main/crm/files/key; then echo APPENDED; fi
"""
AZURITE = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # documented


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """What S3's users set in their environment; the bucket is `crm`."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    given = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    requests.put(f"{given['AWS_ENDPOINT_URL']}/crm", timeout=30).raise_for_status()
    yield given
    for name, value in before.items():
        os.environ.pop(name)
        os.environ.update({name: value} if value is not None else {})
    server.stop()


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder in a store of Google's."""
    pytest.importorskip("gcp_storage_emulator")
    port = free_port()
    place = str(tmp_path_factory.mktemp("google"))
    command = [
        sys.executable,
        "-m",
        "gcp_storage_emulator",
        "start",
        "--in-memory",
        "--host=127.0.0.1",
        f"--port={port}",
    ]
    address = f"http://127.0.0.1:{port}"
    with served([*command, "--default-bucket=crm"], port, place, CLOUD_STORAGE_EMULATOR_ENDPOINT=address):
        yield "gs://anonymous@crm/klaviyo"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder in a store of Azure's."""
    program, port = shutil.which("azurite-blob"), free_port()
    if program is None:
        pytest.skip("azurite, a package of npm, is not installed")
    blob = pytest.importorskip("azure.storage.blob")
    account = f"http://127.0.0.1:{port}/devstoreaccount1"
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURITE};BlobEndpoint={account};"
    )
    place = str(tmp_path_factory.mktemp("azure"))
    command = [program, "--inMemoryPersistence", "--skipApiVersionCheck", f"--blobPort={port}"]
    with served(command, port, place, AZURE_STORAGE_CONNECTION_STRING=connection):
        blob.BlobServiceClient.from_connection_string(connection).create_container("crm")
        yield "abfss://crm@devstoreaccount1.dfs.core.windows.net/klaviyo"


@contextmanager
def served(command: list[str], port: int, folder: str, **given: str) -> Iterator[None]:
    """A server under way, and what its users set in their environment."""
    with pytest.MonkeyPatch.context() as patch:
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 60
            while not can_connect(f"http://127.0.0.1:{port}"):
                assert time.monotonic() < until
                time.sleep(0.1)
            for name, value in given.items():
                patch.setenv(name, value)
            yield
        finally:
            server.kill()  # azurite would wait until its clients close their connections
            server.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    "store",
    [
        "s3",
        pytest.param(
            "google",
            marks=pytest.mark.proves(
                "stores",
                "Google Cloud Storage",
                "`gs:`",
                "pyarrow, or `pip install fsspec gcsfs`",
                "folders, locks and keys against gcp-storage-emulator",
            ),
        ),
        pytest.param(
            "azure",
            marks=pytest.mark.proves(
                "stores",
                "Azure Data Lake Storage",
                "`abfss:`",
                "`pip install fsspec adlfs`, else pyarrow 20 and later",
                "folders, locks and keys against azurite",
            ),
        ),
    ],
)
def test_a_folder_in_a_store_does_what_datasets_and_states_need(store: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(store)
    location = found if isinstance(found, str) else "s3://crm/folder"
    folder, table = Folder.at(location), pa.table({"x": [1, 2]})
    folder.make()
    assert folder.names() == []
    folder.write("a.parquet", table)
    folder.child("_staging").write("b.parquet", table)
    folder.write_json("_lock.json", {"owner": "first"})
    folder.write_json("_lock.json", {"owner": "second"})
    assert folder.names() == ["a.parquet"]
    assert folder.names_with("_lock") == ["_lock.json"]
    assert folder.read("a.parquet", ["x"]).equals(table)
    assert folder.columns_of("a.parquet") == ["x"]
    assert folder.read_json("_lock.json") == {"owner": "second"}
    assert folder.read_json("_none.json") is None
    for _ in range(2):
        folder.delete("a.parquet")
    assert folder.names() == []
    folder.child("_staging").remove()
    assert folder.child("_staging").names() == []
    with locked_state(StateLocation(f"{location}/state", b"", "run", stale_seconds=1.0), KlaviyoError) as state:
        assert state.read_json("_lock.json") is not None
    assert Folder.at(f"{location}/state").read_json("_lock.json") is None
    key = Folder.at(f"{location}/key")
    with key.system.open_output_stream(key.path) as file:
        file.write(b"pk_of_the_store")
    assert read_secret("api_key", f"file:{location}/key").reveal() == "pk_of_the_store"


@pytest.mark.proves(
    "stores",
    "Amazon S3 and what speaks it",
    "`s3:`, `s3a:`",
    "pyarrow, or `pip install fsspec s3fs`",
    "every way to write with datasets, state and key, against moto",
)
def test_every_way_to_write_keeps_its_datasets_state_and_key_in_s3(s3: dict[str, str]) -> None:
    """Spark has no file system for `s3:` here, so its tasks use pyarrow's."""
    command = [sys.executable, str(JOB), "s3://crm/klaviyo"]
    assert_all_kept(subprocess.run(command, env=environment(REPOSITORY, **s3), **CAPTURED))


@pytest.mark.cluster
@pytest.mark.proves(
    "stores",
    "Databricks volume",
    "`/Volumes`",
    "the operating system",
    "every way to write with datasets, state and key, on a file system that refuses what volumes do",
)
def test_every_way_to_write_keeps_its_datasets_state_and_key_in_a_volume(tmp_path: Path) -> None:
    """In a namespace of mounts that ends with the test."""
    if find_library("fuse") is None or os.geteuid() != 0:
        pytest.skip("a file system is mounted by root, with libfuse2")
    place = Path("/Volumes")
    is_new = not place.exists()
    place.mkdir(exist_ok=True)
    command = ["unshare", "--mount", "bash", "-c", IN_A_VOLUME, sys.executable, str(JOB.parent), str(tmp_path)]
    try:
        done = subprocess.run(command, env=environment(REPOSITORY), **CAPTURED)
    finally:
        if is_new:
            place.rmdir()
    assert_all_kept(done)
    assert "APPENDED" not in done.stdout


def assert_all_kept(done: subprocess.CompletedProcess[str]) -> None:
    """What `job.py` has found: its datasets have every row, and its state keeps rows from being sent again."""
    results = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(results[0])
    assert found["first"][:3] == [18, 1, 1]  # of two rows with one identifier the last counts
    assert found["first"][3] == found["first"][4] > 0
    assert found["second"] == [0, 19, 1]
    assert found["compacted"]
    assert found["third"] == [0, 19]
    assert found["left"] == [[], []]
    assert found.get("tasks", [True] * 3) == [True] * 3
    assert found["followed"] == 18


def test_of_two_runs_that_begin_at_once_on_a_state_in_a_store_one_sends_at_most(s3: dict[str, str]) -> None:
    assert s3
    for attempt in range(3):
        inside: list[str] = []
        most: list[int] = []
        start = threading.Barrier(2)

        def run(name: str, path: str, inside: list[str] = inside, most: list[int] = most, start: Any = start) -> None:
            start.wait()
            try:
                with locked_state(StateLocation(path, b"", name, stale_seconds=2.0), KlaviyoError):
                    inside.append(name)
                    most.append(len(inside))
                    threading.Event().wait(0.3)
                    inside.remove(name)
            except KlaviyoError as error:
                assert "another run" in str(error)

        runs = [threading.Thread(target=run, args=(f"run{n}", f"s3://crm/state{attempt}")) for n in range(2)]
        for one in runs:
            one.start()
        for one in runs:
            one.join()
        assert max(most, default=0) <= 1


def test_a_run_whose_lock_was_taken_notices_it_in_a_store(s3: dict[str, str]) -> None:
    assert s3
    folder, lost = Folder.at("s3://crm/leases"), threading.Event()
    folder.make()
    held = Lease(folder, "_lock.json", "first", 0.5, lambda _: lost.set())
    held.acquire()
    folder.write_json("_lock.json", {"owner": "second"})
    assert lost.wait(10)
    held.release()
    assert (folder.read_json("_lock.json") or {})["owner"] == "second"


@pytest.mark.parametrize("scheme", sorted({*FSSPEC, "wasbs"}))
def test_a_store_that_nothing_here_opens_is_named_with_the_package_that_would(scheme: str) -> None:
    try:
        open_store(f"{scheme}://")
    except NoStoreError as error:
        assert str(error).startswith(f"{scheme}: no file system of this kind")
        assert str(error).endswith(f"pip install fsspec {FSSPEC[scheme]}" if scheme in FSSPEC else "or fsspec")
