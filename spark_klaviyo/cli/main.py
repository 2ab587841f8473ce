"""The command line: its commands and their arguments, and errors as messages and an exit status.

Each command prints its result, and returns the exit status where it may be another than `DONE`. It imports what it
needs when it runs, for start-up time: `templates` and `--help` must not wait for Arrow and Spark to load.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import IntEnum
from typing import TYPE_CHECKING

from spark_klaviyo.core.version import __version__
from spark_klaviyo.errors import KlaviyoError, KlaviyoWarning, OptionError, complain
from spark_klaviyo.options.addresses import KEY_PLACE, split_key
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import CREDENTIALS, normalized
from spark_klaviyo.options.secrets import REFERENCES_ONLY, is_reference, masked, shown_name
from spark_klaviyo.report.report import RowsRejected, WriteStopped

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_klaviyo.options.model import Options

FORMATS = ("parquet", "csv", "json", "delta")
MAX_PORT = 65_535


class ExitStatus(IntEnum):
    """What the command line ends with."""

    DONE = 0
    ROWS_REJECTED = 1
    BAD_OPTIONS = 2  # or a DataFrame that does not fit, or a check that failed: nothing was sent
    STOPPED = 3


def print_result(given: argparse.Namespace, form: object, text: str) -> None:
    """Print the JSON form of a result where `--json` was given, else its text."""
    sys.stdout.write((json.dumps(form, indent=2) if given.json else text.rstrip("\n")) + "\n")


def run_demo(given: argparse.Namespace) -> None:
    """`demo`."""
    from spark_klaviyo.cli.demo import demo

    if given.rows < 1:
        raise OptionError(f"--rows: expected at least 1, not {given.rows}")
    report = demo(given.rows, quiet=given.json)
    if given.json:
        print_result(given, report.to_dict(), "")


def run_templates(given: argparse.Namespace) -> None:
    """`templates [NAME]`."""
    from spark_klaviyo.templates import describe, find_template, templates
    from spark_klaviyo.templates.describe import facts, table

    listed = [one for one in templates() if given.name in (None, one.name)]
    listed = listed or [find_template(given.name)]  # which raises, and proposes the nearest names
    text = "\n".join(map(describe, listed)) if given.name else table(listed)
    print_result(given, [facts(template) for template in listed], text)


def run_lists(given: argparse.Namespace) -> None:
    """`lists`: ids and names, one list on a line."""
    from spark_klaviyo.account.names import all_lists
    from spark_klaviyo.account.target import require_account

    options = _options(given, EntryPoint.CHECK)
    require_account(options)
    found = all_lists(options)
    text = "\n".join(f"{one.id}  {one.name}" for one in found) or "the account has no list"
    print_result(given, [asdict(one) for one in found], text)


def run_check(given: argparse.Namespace) -> ExitStatus:
    """`check`."""
    from spark_klaviyo.check.check import check

    try:
        row = json.loads(given.send_sample) if given.send_sample is not None else None
    except ValueError as error:
        raise OptionError("--send-sample: expected one row as a JSON object") from error
    result = check(_options(given, EntryPoint.CHECK), row)
    print_result(given, result.to_dict(), str(result))
    return ExitStatus.DONE if result.ok else ExitStatus.BAD_OPTIONS


def run_doctor(given: argparse.Namespace) -> ExitStatus:
    """`doctor`."""
    from spark_klaviyo.cli.doctor import diagnose

    result = diagnose(given_options(given.option))
    print_result(given, result.to_dict(), str(result))
    return ExitStatus.DONE if result.ok else ExitStatus.BAD_OPTIONS


def run_preview(given: argparse.Namespace) -> None:
    """`preview`: with `--no-bodies` it shows no person's data."""
    from spark_klaviyo.preview.preview import preview

    options = _options(given, EntryPoint.PREVIEW)
    with _input(given) as df:
        result = preview(df, options, given.rows)
    if given.html:
        result.to_html(given.html)
    print_result(given, result.to_dict(bodies=given.bodies), result.text(bodies=given.bodies))


def run_write(given: argparse.Namespace) -> None:
    """`write`."""
    from spark_klaviyo.modes.dispatch import write

    options = _options(given, EntryPoint.COMMAND)
    with _input(given) as df:
        report = write(df, options, time.time())
    print_result(given, report.to_dict(), str(report))


def run_follow(given: argparse.Namespace) -> None:
    """`follow`."""
    from spark_klaviyo.runs.follow_receipts import follow_receipts

    report = follow_receipts(given.receipts, _options(given, EntryPoint.FOLLOW))
    print_result(given, report.to_dict(), str(report))


def run_simulate(given: argparse.Namespace) -> None:
    """`simulate`."""
    from spark_klaviyo.simulator.command import simulate
    from spark_klaviyo.simulator.faults import read_faults

    try:
        faults = read_faults(given.faults)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise OptionError(f"--faults: expected a JSON file with a list of faults: {error}") from error
    if not 0 <= given.port <= MAX_PORT:
        raise OptionError(f"--port: expected a number from 0 (any free one) to {MAX_PORT}, not {given.port}")
    try:
        simulate(given.port, given.latency, given.burst, given.steady, faults)
    except OSError as error:
        raise OptionError(f"--port: {given.port} cannot be listened on: {error.strerror}") from error


def _options(given: argparse.Namespace, entry_point: EntryPoint) -> Options:
    from spark_klaviyo.entrypoints.read import options_at

    return options_at(entry_point, given_options(given.option))


@contextmanager
def _input(given: argparse.Namespace) -> Iterator[DataFrame]:
    """The dataset that `--input` names."""
    from spark_klaviyo.cli.local_spark import dataset, session

    reading = _by_name("--read-option", given.read_option)
    with session("spark-klaviyo") as spark:
        yield dataset(spark, given.input, given.format, reading)


def _by_name(argument: str, pairs: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` arguments as values by name; `OptionError` where one is of another form."""
    parts = [pair.partition("=") for pair in pairs]
    wrong = [name for name, equals, _ in parts if not (equals and name.strip())]
    complain([f"{argument} {shown_name(name)}: expected NAME=VALUE" for name in wrong])
    return {name.strip(): value for name, _, value in parts}


def given_options(pairs: Sequence[str]) -> dict[str, str]:
    """`--option NAME=VALUE` arguments as options by name; `OptionError` where one has no `=`, or holds a key.

    A process list shows arguments, so a key among them is refused; references to a key are taken.
    """
    given = _by_name("--option", pairs)
    for name, value in given.items():
        if _holds_key(name, value):
            raise OptionError(f"{shown_name(name)}: {REFERENCES_ONLY}")
    return given


def _holds_key(name: str, value: str) -> bool:
    """Whether an argument is a key, or holds one in an address, a header or a body."""
    if normalized(name) in map(normalized, CREDENTIALS):
        return not is_reference(value)
    key = split_key(value)[1] if normalized(name) == "url" else ""
    return masked(value) != value or (bool(key) and key != KEY_PLACE and not is_reference(key))


# --- arguments ------------------------------------------------------------------------------------

Command = Callable[[argparse.Namespace], ExitStatus | None]


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `run` of its result is the command's function."""
    top = argparse.ArgumentParser(prog="spark-klaviyo", description="Write any Spark DataFrame to Klaviyo.")
    top.add_argument("--version", action="version", version=f"spark-klaviyo {__version__}")
    added = top.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def add(name: str, text: str, run: Command) -> argparse.ArgumentParser:
        command = added.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print only JSON on standard output")
        command.set_defaults(run=run)
        return command

    demo = add("demo", "write made-up people to a simulated Klaviyo on this machine", run_demo)
    demo.add_argument("--rows", type=int, default=100_000, help="number of people (default: 100,000)")

    templates = add("templates", "list the endpoint templates, or show one with its settings", run_templates)
    templates.add_argument("name", nargs="?", help="the template to show")

    _add_options(add("lists", "print the ids and names of the account's lists", run_lists))

    check = add("check", "try the key, its scopes, the account and the ids; write nothing", run_check)
    check.add_argument("--send-sample", metavar="JSON", help="also send this row, a JSON object, for real")
    _add_options(check)

    diagnosis = "check Python, Java, Spark, packages, network and key, and say what to fix"
    _add_options(add("doctor", diagnosis, run_doctor))

    preview = add("preview", "show the requests of a write without sending them", run_preview)
    preview.add_argument("--rows", type=int, default=5, help="number of rows to show requests of (default: 5)")
    bodies = "show bodies, filled URLs and details; they hold people's data"
    preview.add_argument("--bodies", action=argparse.BooleanOptionalAction, default=True, help=bodies)
    preview.add_argument("--html", metavar="PATH", help="also write the preview as an HTML page to this file")
    _add_input(preview)

    _add_input(add("write", "write a dataset to Klaviyo", run_write))

    follow = add("follow", "follow the jobs that a write left open; needs no Spark", run_follow)
    follow.add_argument("--receipts", required=True, help="path or URI of the write's receipts (its receipts_path)")
    _add_options(follow)

    simulate = add("simulate", "run a simulated Klaviyo on this machine until Ctrl-C", run_simulate)
    simulate.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    simulate.add_argument("--latency", type=float, default=0.0, help="seconds to wait before each reply (default: 0)")
    simulate.add_argument("--burst", type=int, help="requests per second to each endpoint (default: no limit)")
    simulate.add_argument("--steady", type=int, help="requests per minute to each endpoint (default: no limit)")
    simulate.add_argument("--faults", help="a JSON file with a list of faults to inject")
    return top


def _add_input(command: argparse.ArgumentParser) -> None:
    command.add_argument("--input", required=True, help="path of the dataset to read, as Spark takes it")
    command.add_argument("--format", choices=FORMATS, default="parquet", help="its format (default: parquet)")
    reading = "an option of Spark's reader, can be repeated; CSV is read as RFC 4180 says, with all columns as text"
    command.add_argument("--read-option", action="append", default=[], metavar="NAME=VALUE", help=reading)
    _add_options(command)


def _add_options(command: argparse.ArgumentParser) -> None:
    help_text = "an option, such as list_id=Y6nRLr; can be repeated"
    command.add_argument("--option", "-o", action="append", default=[], metavar="NAME=VALUE", help=help_text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Those of the process unless given.

    Returns:
        The exit status, a member of `ExitStatus`.
    """
    given = parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KlaviyoWarning)  # reports and previews print their warnings themselves
            status: ExitStatus | None = given.run(given)
    except (WriteStopped, RowsRejected) as error:
        if error.report is not None:
            print_result(given, error.report.to_dict(), str(error.report))
        sys.stderr.write(f"{error}\n")
        return ExitStatus.STOPPED if isinstance(error, WriteStopped) else ExitStatus.ROWS_REJECTED
    except KlaviyoError as error:
        sys.stderr.write(f"{error}\n")
        return ExitStatus.BAD_OPTIONS
    except ImportError as error:
        sys.stderr.write(f"{error.name or error} is not installed: pip install 'spark-klaviyo[local]'\n")
        return ExitStatus.BAD_OPTIONS
    except Exception as error:  # an unforeseen one is shown without its text, which may hold a value of a row
        frames = "".join(traceback.format_tb(error.__traceback__))
        sys.stderr.write(f"{frames}{given.command} failed with {type(error).__name__}\n")
        return ExitStatus.STOPPED
    return status or ExitStatus.DONE
