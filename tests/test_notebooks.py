"""The notebooks: stored without outputs, importing public names only, and run from top to bottom on the simulator."""

from __future__ import annotations

import ast
import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import spark_klaviyo
from spark_klaviyo import simulator

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")
pytest.importorskip("pyspark.sql.datasource")

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
EACH_NOTEBOOK = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
MINUTES = 5
KEY = "pk_of_the_simulator"
PUBLIC = {"spark_klaviyo": spark_klaviyo.__all__, "spark_klaviyo.simulator": simulator.__all__}

# Text that the outputs of each notebook must hold, besides HTML pages.
EXPECTED = {
    "01_first_write": ["5 people on the list", "1 bad_email, 1 no_identifier", "set api=current", "True"],
    "02_events_and_consent": [
        "['o-1001', 'o-1002', 'o-1003']",
        "column 'form' has no place in bulk_subscribe_profiles",
        "1 not_on_list",
    ],
    "03_manual_mode": ["1 not_found", "POST /api/v2/list/Y6nRLr/members", "application/x-www-form-urlencoded"],
    "04_daily_job": [
        "1,996 skipped",
        "40 delivered",
        "4 rows: 4 delivered in 1 request",
        "[1996, 40] rows a request",
        "1 opted_out",
        "1 member removed from the list",
        "['person0@example.com']",
        "1 skipped (a pre-image",
    ],
    "06_import_files": [
        "Ann@example.com 7210448301122 +17755550154",
        "Email Address: email (certain)",
        "3 rows: 2 delivered",
        "1 bad_email",
        "'sizes': ['S', 'M']",
        "secrets that were sent: 0",
    ],
    "05_streaming": ["['o-1', 'o-2', 'o-4', 'o-5', 'o-6']", "StreamingQueryException"],
}
INSTRUCTIONS = ("Databricks", "serverless", "%pip install spark-klaviyo", "secret:klaviyo/api_key", "KLAVIYO_BASE_URL")


# Run before a notebook: it finds no name and no setting of the one before it, only a Spark that has started already.
FRESH = """
%reset -f
import os
os.environ["KLAVIYO_FOLDER"] = {folder!r}
os.chdir({place!r})
"""


def clean_environment() -> dict[str, str]:
    """An environment without any setting of Klaviyo or Spark, as a new reader has it."""
    chosen = ("KLAVIYO", "SPARK", "PYSPARK", "DATABRICKS")
    kept = {name for name in os.environ if not name.startswith(chosen)} | {"SPARK_SUBMIT_OPTS"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    return {**environment, "PYTHONPATH": str(REPOSITORY), "SPARK_LOCAL_IP": "127.0.0.1"}


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """One kernel for all notebooks, since each start of Spark takes longer than a notebook."""
    manager = jupyter_client.AsyncKernelManager(kernel_name="python3")
    asyncio.run(manager.start_kernel(env=clean_environment()))
    yield manager
    asyncio.run(manager.shutdown_kernel(now=True))


def code_of(notebook: Path) -> list[Any]:
    """The code cells as they are stored."""
    stored: Any = nbformat.read(notebook, as_version=4)
    nbformat.validate(stored)
    return [cell for cell in stored.cells if cell.cell_type == "code"]


@EACH_NOTEBOOK
def test_a_notebook_is_stored_without_outputs(notebook: Path) -> None:
    code = code_of(notebook)
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    assert max(len(cell.source.splitlines()) for cell in code) <= 30, "long cells are hard to read"


@EACH_NOTEBOOK
def test_a_notebook_imports_public_names_only(notebook: Path) -> None:
    imports = [node for cell in code_of(notebook) for node in ast.walk(ast.parse(cell.source))]
    modules = [alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names]
    assert [name for name in modules if name.startswith("spark_klaviyo")] == []
    names = [
        (str(node.module), alias.name) for node in imports if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    own = [(module, name) for module, name in names if module.startswith("spark_klaviyo")]
    assert own
    assert [(module, name) for module, name in own if name not in PUBLIC.get(module, ())] == []


@EACH_NOTEBOOK
def test_a_notebook_says_what_to_set(notebook: Path) -> None:
    stored: Any = nbformat.read(notebook, as_version=4)
    text = "\n".join(cell.source for cell in stored.cells)
    assert [instruction for instruction in INSTRUCTIONS if instruction not in text] == []
    assert "FOLDER" not in text or "/Volumes/" in text
    links = set(re.findall(r"\]\((\w+\.ipynb)\)", text))
    assert links <= {path.name for path in NOTEBOOKS}


@EACH_NOTEBOOK
@pytest.mark.timeout(60 * MINUTES)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # of zmq
def test_a_notebook_runs_from_top_to_bottom(notebook: Path, tmp_path: Path, kernel: Any) -> None:
    executed: Any = nbformat.read(notebook, as_version=4)
    fresh = FRESH.format(folder=str(tmp_path / "folder"), place=str(tmp_path))
    executed.cells.insert(0, nbformat.v4.new_code_cell(fresh))
    client = nbclient.NotebookClient(executed, km=kernel, timeout=60 * MINUTES)
    client.execute()
    client.kc.stop_channels()
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "\n".join(map(text_of, outputs))
    assert [expected for expected in EXPECTED[notebook.stem] if expected not in text] == []
    pages = [
        output.data["text/html"] for output in outputs if 'class="sk' in output.get("data", {}).get("text/html", "")
    ]
    assert pages, "no report was rendered as HTML"
    assert KEY not in text + "".join(pages)


def text_of(output: Any) -> str:
    """An output as text."""
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
