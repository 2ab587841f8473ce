"""What a Python process has: found out by the doctor here and in tasks, also of workers that lack this package.

So it travels to the tasks by value, with what it calls, and all of that uses the standard library alone.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Sequence
from typing import Any

from spark_klaviyo.core.version import installed_version
from spark_klaviyo.http.reachable import can_connect

TRYING = 2  # tasks that try to connect; without internet each takes seconds


def facts(packages: Sequence[str], url: str, proxy: str | None) -> dict[str, Any]:
    """Host, Python and its program, versions of packages (empty: missing), the clock, and whether `url` is reached."""
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "program": sys.executable,
        "packages": {package: installed_version(package) for package in packages},
        "clock": time.time(),
        "reaches": can_connect(url, proxy) if url else None,
    }


def facts_of_tasks(
    spark: Any, tasks: int, packages: Sequence[str], url: str, proxy: str | None
) -> list[dict[str, Any]]:
    """The facts that so many tasks find, with a plain Python function: it needs no pyarrow.

    Raises what Spark raises where tasks cannot run.
    """
    from pyspark import cloudpickle
    from pyspark.sql.functions import udf

    def task(number: int) -> str:
        return json.dumps(facts(packages, url if number < TRYING else "", proxy))

    modules = [sys.modules[called.__module__] for called in (facts, can_connect, installed_version)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        found = spark.range(0, tasks, 1, tasks).select(udf(task, "string", useArrow=False)("id")).collect()
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
    return [json.loads(row[0]) for row in found]
