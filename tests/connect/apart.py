"""Programs of their own: a process that has met one kind of Spark cannot have the other."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def environment(*paths: Path, **more: str) -> dict[str, str]:
    """This process's environment without what chooses a Spark, and with these places to import from."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK", "KLAVIYO"))}
    mine |= {name: os.environ[name] for name in ("SPARK_SUBMIT_OPTS",) if name in os.environ}
    found = os.pathsep.join(map(str, paths))
    return {**mine, "PYTHONPATH": found, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, **more}
