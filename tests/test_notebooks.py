"""The notebooks, run from top to bottom against the simulator as a reader would, and as they are stored."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("pyspark.sql.datasource")

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
EVERY = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
MINUTES = 5
KEY = "pk_of_the_simulator"

# What a reader sees in the end, besides pages.
SHOWN = {
    "01_first_write": ["5 people on the list", "1 bad_email, 1 no_identifier", "set api=current", "True"],
    "02_events_and_consent": [
        "['o-1001', 'o-1002', 'o-1003']",
        "column 'form' has no place in bulk_subscribe_profiles",
        "1 not_on_list",
    ],
    "03_manual_mode": ["1 not_found", "POST /api/v2/list/Y6nRLr/members", "application/x-www-form-urlencoded"],
    "04_daily_job": ["1,996 skipped", "40 delivered", "4 rows: 4 delivered in 1 request", "[1996, 40] rows a request"],
    "05_streaming": ["['o-1', 'o-2', 'o-4', 'o-5', 'o-6']", "StreamingQueryException"],
}
SAID = ("Databricks", "serverless", "%pip install spark-klaviyo", "secret:klaviyo/api_key", "KLAVIYO_BASE_URL")


@pytest.fixture
def as_a_reader(tmp_path: Path) -> Iterator[None]:
    """A shell in which nobody has set anything of Klaviyo or Spark."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(("KLAVIYO", "SPARK", "PYSPARK", "DATABRICKS"))]:
        if name != "SPARK_SUBMIT_OPTS":
            del os.environ[name]
    os.environ.update(PYTHONPATH=str(REPOSITORY), KLAVIYO_FOLDER=str(tmp_path / "folder"), SPARK_LOCAL_IP="127.0.0.1")
    yield
    os.environ.clear()
    os.environ.update(before)


@EVERY
def test_a_notebook_is_stored_without_outputs(notebook: Path) -> None:
    stored: Any = nbformat.read(notebook, as_version=4)
    nbformat.validate(stored)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    assert max(len(cell.source.splitlines()) for cell in code) <= 30, "a cell is read at one glance"


@EVERY
def test_a_notebook_says_what_to_set(notebook: Path) -> None:
    stored: Any = nbformat.read(notebook, as_version=4)
    text = "\n".join(cell.source for cell in stored.cells)
    assert [said for said in SAID if said not in text] == []
    assert "FOLDER" not in text or "/Volumes/" in text
    links = set(re.findall(r"\]\((\w+\.ipynb)\)", text))
    assert links <= {path.name for path in NOTEBOOKS}


@EVERY
@pytest.mark.timeout(60 * MINUTES)
@pytest.mark.usefixtures("as_a_reader")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # of zmq
def test_a_notebook_runs_from_top_to_bottom(notebook: Path, tmp_path: Path) -> None:
    ran: Any = nbformat.read(notebook, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(ran, timeout=60 * MINUTES, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = "\n".join(map(text_of, outputs))
    assert [expected for expected in SHOWN[notebook.stem] if expected not in shown] == []
    pages = [
        output.data["text/html"] for output in outputs if 'class="sk' in output.get("data", {}).get("text/html", "")
    ]
    assert pages, "reports show as pages"
    assert KEY not in shown + "".join(pages)


def text_of(output: Any) -> str:
    """What an output shows as text."""
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
