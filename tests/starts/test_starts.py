"""Every way to start Spark, in its own environment: whether it finds `format("klaviyo")`, and what it says if not.

`pytest -n 0 -m cluster --record tests/starts` writes the table of README.md.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from spark_klaviyo.http.reachable import can_connect
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.cluster.shipping import free_port, linked, python_with
from tests.connect.apart import environment

pytest.importorskip("pyspark.sql.datasource")
pytestmark = pytest.mark.cluster
REPOSITORY = Path(__file__).resolve().parents[2]
JOB = Path(__file__).with_name("job.py")
DISCOVERY = REPOSITORY / "spark_klaviyo" / "entrypoints" / "discovery.py"
PROGRAMS = ("spark-submit", "pyspark", "spark-class", "find-spark-home", "load-spark-env.sh", "../find_spark_home.py")
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
NOTEBOOK = """
import sys, nbclient, nbformat
cell = nbformat.v4.new_code_cell(open(sys.argv[1]).read())
nbclient.NotebookClient(nbformat.v4.new_notebook(cells=[cell])).execute()
print(*(output.get("text", "") for output in cell.outputs))
"""
NOT_FOUND = "[DATA_SOURCE_NOT_FOUND]"
NO_MODULE = "ModuleNotFoundError: No module named 'spark_klaviyo'"
TO_INSTALL = "has no module 'spark_klaviyo': install spark-klaviyo, in the driver's version, on every worker"


@dataclass(frozen=True)
class Environments:
    """The programs of three environments: one has the package, one all but the package, one nothing.

    Spark is in the first two.
    """

    full: Path
    lacking: Path
    bare: Path
    folder: Path

    def given(self, on_path: Path, **more: str) -> dict[str, str]:
        path = os.pathsep.join([str(on_path), os.environ["PATH"]])
        found = environment(PATH=path, KLAVIYO_API_KEY="pk_test")
        return {name: value for name, value in found.items() if name not in ("PYTHONPATH", "PYSPARK_PYTHON")} | more

    def run(self, command: list[str], on_path: Path, typed: str = "", **more: str) -> tuple[dict[str, str], int, str]:
        """What the job says of each way to write, how many people have arrived, and the standard error.

        `on_path` is the environment whose programs come first, as in one that is activated; `typed` is what a person
        types at the program's terminal.
        """
        person, terminal = pty.openpty()
        os.write(person, typed.encode())
        with KlaviyoSimulator(job_polls=0) as klaviyo:
            given = self.given(on_path, SIMULATOR_URL=klaviyo.url, **more)
            done = subprocess.run(
                command, env=given, stdin=terminal, capture_output=True, text=True, timeout=200, cwd=self.folder
            )
        os.close(person)
        os.close(terminal)
        return dict(re.findall(r"^WAY (\w+) (.*)$", done.stdout, re.M)), len(klaviyo.profiles), done.stderr


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environments]:
    folder = tmp_path_factory.mktemp("starts")
    installed = linked(folder / "installed", "pyspark", "grpcio", "grpcio-status", "zstandard", "ipykernel", "nbclient")
    ours = folder / "ours"
    ours.mkdir()
    (ours / "spark_klaviyo").symlink_to(REPOSITORY / "spark_klaviyo")
    (ours / "pyspark_klaviyo.py").symlink_to(DISCOVERY)
    paths = {"full": (installed, ours), "lacking": (installed,), "bare": ()}
    programs = {name: python_with(folder / name, *found).parent for name, found in paths.items()}
    home = Path(str(find_spec("pyspark").origin)).parent / "bin"  # type: ignore[union-attr]
    for name in ("full", "lacking"):
        for program in PROGRAMS:  # as pip installs them
            (programs[name] / Path(program).name).symlink_to(home / program)
    yield Environments(**programs, folder=folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.proves("starts", "`python`, environment activated", "found", "yes")
def test_python_of_an_activated_environment(environments: Environments) -> None:
    said, arrived, _ = environments.run([f"{environments.full}/python", str(JOB)], environments.full)
    assert (said, arrived) == ({"by_name": "sent", "by_function": "sent"}, 1)


@pytest.mark.proves("starts", "`spark-submit` with `PYSPARK_PYTHON`, environment not activated", "found", "yes")
def test_spark_submit_with_its_python_named(environments: Environments) -> None:
    command = [f"{environments.full}/spark-submit", "--master", "local[1]", str(JOB)]
    python = f"{environments.full}/python"
    said, arrived, _ = environments.run(command, environments.bare, PYSPARK_PYTHON=python)
    assert (said, arrived) == ({"by_name": "sent", "by_function": "sent"}, 1)


@pytest.mark.proves("starts", "the shell `pyspark`, environment activated", "found", "yes")
def test_the_shell_of_an_activated_environment(environments: Environments) -> None:
    command = [f"{environments.full}/pyspark", "--master", "local[1]"]
    typed = f"exec(open({str(JOB)!r}).read())\nexit()\n"
    said, arrived, _ = environments.run(command, environments.full, typed)
    assert (said, arrived) == ({"by_name": "sent", "by_function": "sent"}, 1)


@pytest.mark.proves(
    "starts",
    "a notebook, or `.venv/bin/python`, environment not activated",
    "`DATA_SOURCE_NOT_FOUND`, but found after `register(spark)`",
    "yes",
)
@pytest.mark.parametrize("arguments", [["-c", NOTEBOOK, str(JOB)], [str(JOB)]], ids=["notebook", "python"])
def test_an_environment_that_is_not_activated(environments: Environments, arguments: list[str]) -> None:
    said, arrived, _ = environments.run([f"{environments.full}/python", *arguments], environments.bare)
    assert NOT_FOUND in said.pop("by_name")
    assert (said, arrived) == ({"by_function": "sent", "registered": "sent"}, 1)


@pytest.mark.proves(
    "starts",
    "`.venv/bin/spark-submit`, environment not activated",
    "`DATA_SOURCE_NOT_FOUND`: Spark runs the `python3` of the PATH",
    "`No module named 'spark_klaviyo'`",
)
def test_spark_submit_runs_the_python_of_the_path(environments: Environments) -> None:
    command = [f"{environments.full}/spark-submit", "--master", "local[1]", str(JOB)]
    said, arrived, _ = environments.run(command, environments.bare)
    assert NOT_FOUND in said.pop("by_name")
    assert (said, arrived) == ({"by_function": NO_MODULE, "registered": NO_MODULE}, 0)


@pytest.mark.proves(
    "starts",
    "`.venv/bin/pyspark`, environment not activated",
    "`No module named 'pyspark.util'`: a prompt without Spark",
    "`No module named 'spark_klaviyo'`",
)
def test_the_shell_has_no_spark_with_another_python(environments: Environments) -> None:
    typed = "import spark_klaviyo\nexit()\n"
    _, _, errors = environments.run([f"{environments.full}/pyspark"], environments.bare, typed)
    assert "No module named 'pyspark.util'" in errors
    assert NO_MODULE in errors


@contextmanager
def connect_server(environments: Environments, programs: Path) -> Iterator[str]:
    """A Spark Connect server that an environment runs, and its address."""
    port = free_port()
    setting = f"spark.connect.grpc.binding.port={port}"
    command = [f"{programs}/spark-submit", "--master", "local[1]", "--class", SERVER, "--conf", setting]
    with (environments.folder / f"{port}.log").open("w") as log:
        server = subprocess.Popen(command, env=environments.given(programs), stdout=log, stderr=log)
    try:
        until = time.monotonic() + 90
        while not can_connect(f"http://127.0.0.1:{port}"):
            assert server.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def run_against(server: Path, client: Path, environments: Environments) -> tuple[dict[str, str], int]:
    """What the job says, and how many people have arrived, with a client and a server of these environments."""
    with connect_server(environments, server) as address:
        said, arrived, _ = environments.run([f"{client}/python", str(JOB)], client, SPARK_REMOTE=address)
    return said, arrived


@pytest.mark.proves(
    "starts",
    "a Connect client without the package, its server with it",
    "found",
    "`No module named 'spark_klaviyo'`",
)
def test_a_connect_server_alone_has_the_package(environments: Environments) -> None:
    said, arrived = run_against(environments.full, environments.lacking, environments)
    assert (said, arrived) == ({"by_name": "sent", "by_function": NO_MODULE}, 1)


@pytest.mark.proves(
    "starts",
    "a Connect client with the package, its server without it",
    "`DATA_SOURCE_NOT_FOUND`; after `register(spark)` Spark's error ends with what to install where",
    "`… has no module 'spark_klaviyo': install spark-klaviyo, in the driver's version, on every worker …`",
)
def test_a_connect_client_alone_has_the_package(environments: Environments) -> None:
    said, arrived = run_against(environments.lacking, environments.full, environments)
    assert NOT_FOUND in said["by_name"]
    assert TO_INSTALL in said["by_function"]
    assert TO_INSTALL in said["registered"]
    assert arrived == 0


@pytest.mark.proves(
    "starts",
    "`python`, its workers' Python without the package",
    "`DATA_SOURCE_NOT_FOUND`; after `register(spark)` Spark's error ends with what to install where",
    "`… has no module 'spark_klaviyo': install spark-klaviyo, in the driver's version, on every worker …`",
)
def test_workers_without_the_package(environments: Environments) -> None:
    python = f"{environments.lacking}/python"
    said, arrived, _ = environments.run(
        [f"{environments.full}/python", str(JOB)], environments.full, PYSPARK_PYTHON=python
    )
    assert NOT_FOUND in said["by_name"]
    assert TO_INSTALL in said["by_function"]
    assert TO_INSTALL in said["registered"]
    assert arrived == 0
