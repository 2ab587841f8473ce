"""The built wheel contains what Spark, type checkers and shells need, and requires nothing that clusters provide."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "spark_klaviyo"
DISCOVERY = (PACKAGE / "entrypoints" / "discovery.py").read_text()

pytest.importorskip("hatchling")


def build(kind: str, folder: Path) -> Path:
    """A wheel made by the build backend: `build_wheel` or `build_editable`."""
    code = f"from hatchling.build import {kind}; print({kind}({str(folder)!r}))"
    made = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder / made.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return build("build_wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory with what the wheel installs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return str(folder)


def contents(wheel: Path) -> dict[str, str]:
    """The files of a wheel, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def metadata(wheel: Path) -> email.message.Message:
    """The wheel's METADATA."""
    [text] = [text for name, text in contents(wheel).items() if name.endswith(".dist-info/METADATA")]
    return email.message_from_string(text)


def run(code: str, path: str) -> str:
    """The output of a new Python process that finds the package at `path` only."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**kept, "PYTHONPATH": path, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_the_wheel_contains_exactly_the_package(wheel: Path) -> None:
    ours = {file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    expected = {file.relative_to(REPOSITORY).as_posix() for file in ours}
    expected = expected - {"spark_klaviyo/entrypoints/discovery.py"} | {"pyspark_klaviyo.py"}
    assert {name for name in contents(wheel) if ".dist-info/" not in name} == expected
    assert "spark_klaviyo/py.typed" in expected


@pytest.mark.parametrize("kind", ["build_wheel", "build_editable"])
def test_every_kind_of_install_includes_the_module_that_spark_discovers(kind: str, tmp_path: Path) -> None:
    assert contents(build(kind, tmp_path))["pyspark_klaviyo.py"] == DISCOVERY


def test_the_wheel_requires_nothing_that_a_cluster_provides(wheel: Path) -> None:
    required = metadata(wheel).get_all("Requires-Dist", [])
    base = {re.split(r"[ <>=!~\[;]", text)[0] for text in required if "extra ==" not in text}
    assert base == {"requests", "pyarrow", "arro3-io", "numpy", "orjson", "phonenumbers", "jinja2", "tqdm", "urllib3"}
    assert all("<" not in text for text in required if "extra ==" not in text), (
        "an upper bound would downgrade a cluster's"
    )


def test_the_wheel_has_the_right_metadata(wheel: Path) -> None:
    wheel_metadata = metadata(wheel)
    assert (wheel_metadata["Name"], wheel_metadata["Requires-Python"]) == ("spark-klaviyo", ">=3.11")
    assert set(wheel_metadata.get_all("Provides-Extra", [])) == {"local", "dev"}
    [scripts] = [text for name, text in contents(wheel).items() if name.endswith("entry_points.txt")]
    assert "spark-klaviyo = spark_klaviyo.cli" in scripts


def test_the_discovery_module_imports_nothing_but_spark(installed: str) -> None:
    pytest.importorskip("pyspark.sql.datasource")
    output = run(
        "import sys; import pyspark.sql.datasource; before = set(sys.modules); import pyspark_klaviyo;"
        "print(sorted(set(sys.modules) - before), pyspark_klaviyo.DefaultSource.name())",
        installed,
    )
    assert output == "['pyspark_klaviyo'] klaviyo"


@pytest.mark.parametrize("missing", ["pyspark", "pyspark.sql.datasource"])
def test_the_discovery_module_never_raises(missing: str, installed: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import pyspark_klaviyo; "
    code += "print(hasattr(pyspark_klaviyo, 'DefaultSource'))"
    assert run(code, installed) == "False"


FOUND = """
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
try:
    spark.range(1).write.format("klaviyo").mode("append").options(template="no_such_template").save()
except Exception as error:
    print("OptionError: " in str(error), "no_such_template" in str(error))
"""


def test_spark_finds_the_format_without_registration(installed: str) -> None:
    pytest.importorskip("pyspark.sql.datasource")
    assert run(FOUND, installed) == "True True"


@pytest.mark.oldest
def test_the_package_imports_without_spark() -> None:
    output = run(
        "import sys; import spark_klaviyo, spark_klaviyo.cli.main; print('pyspark' in sys.modules)", str(REPOSITORY)
    )
    assert output == "False"


@pytest.mark.oldest
def test_every_name_can_be_imported_without_spark() -> None:
    code = "import sys; sys.modules['pyspark'] = None; from spark_klaviyo import *; print(preview_klaviyo.__name__)"
    assert run(code, str(REPOSITORY)) == "preview_klaviyo"


@pytest.mark.oldest
def test_the_data_source_exists_only_where_spark_has_the_api() -> None:
    has = find_spec("pyspark.sql.datasource") is not None
    code = "import spark_klaviyo; print(spark_klaviyo.KlaviyoDataSource.__mro__[1].__name__)"
    assert run(code, str(REPOSITORY)) == ("DataSource" if has else "object")
