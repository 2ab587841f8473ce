"""The version of this package, and how its requests name themselves."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"
PYSPARK = ("pyspark", "pyspark-client")  # distributions


def user_agent() -> str:
    """The `User-Agent` of all requests: this package, and the Spark and the Python that it runs on."""
    return f"spark-klaviyo/{__version__} (pyspark/{pyspark_version() or 'none'}; python/{platform.python_version()})"


def pyspark_version() -> str:
    """The version of pyspark, which need not be installed: a cluster may bring it as files alone. Empty without one."""
    loaded = getattr(sys.modules.get("pyspark"), "__version__", "")
    return str(loaded) or next(filter(None, map(installed_version, PYSPARK)), "")


def installed_version(distribution: str) -> str:
    """The version of an installed distribution; empty where there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
