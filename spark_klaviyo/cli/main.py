"""The command line: its commands and their arguments, and errors as messages and an exit status."""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence

from spark_klaviyo.cli import commands
from spark_klaviyo.cli.commands import ExitStatus, print_result
from spark_klaviyo.core.version import __version__
from spark_klaviyo.errors import KlaviyoError, KlaviyoWarning
from spark_klaviyo.report.report import RowsRejected, WriteStopped

FORMATS = ("parquet", "csv", "json", "delta")
Command = Callable[[argparse.Namespace], ExitStatus | None]


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `run` of its result is the command's function."""
    top = argparse.ArgumentParser(prog="spark-klaviyo", description="Write any Spark DataFrame to Klaviyo.")
    top.add_argument("--version", action="version", version=f"spark-klaviyo {__version__}")
    added = top.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def add(name: str, text: str, run: Command) -> argparse.ArgumentParser:
        command = added.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print the result as JSON on standard output, alone")
        command.set_defaults(run=run)
        return command

    demo = add("demo", "the main job on the embedded simulator: real Spark, real HTTP", commands.run_demo)
    demo.add_argument("--rows", type=int, default=100_000, help="number of made-up people (100,000)")

    templates = add("templates", "list the endpoint templates, or one with its settings", commands.run_templates)
    templates.add_argument("name", nargs="?", help="one template, described in full")

    _add_options(add("lists", "print ids and names of the account's lists", commands.run_lists))

    check = add("check", "the Test button: try key, account and ids, and write nothing", commands.run_check)
    check.add_argument("--send-sample", metavar="JSON", help="really send this one row, a JSON object")
    _add_options(check)

    doctor = add(
        "doctor", "look at Python, Java, Spark, packages, network and key, and say what to do", commands.run_doctor
    )
    _add_options(doctor)

    preview = add("preview", "show what a write would send, and send nothing", commands.run_preview)
    preview.add_argument("--rows", type=int, default=5, help="number of rows whose requests are shown (5)")
    bodies = "show bodies, filled URLs and details, which hold people's data (default)"
    preview.add_argument("--bodies", action=argparse.BooleanOptionalAction, default=True, help=bodies)
    preview.add_argument("--html", metavar="PATH", help="write the page that a notebook shows to this file")
    _add_input(preview)

    _add_input(add("write", "write a dataset to Klaviyo", commands.run_write))

    follow = add("follow", "follow the jobs that a write left open; needs no cluster", commands.run_follow)
    follow.add_argument("--receipts", required=True, help="path or URI of the receipts dataset")
    _add_options(follow)

    simulate = add("simulate", "run a local Klaviyo until Ctrl-C", commands.run_simulate)
    simulate.add_argument("--port", type=int, default=0, help="port to listen on (any free one)")
    simulate.add_argument("--latency", type=float, default=0.0, help="seconds added to each reply")
    simulate.add_argument("--burst", type=int, help="requests a second of every endpoint")
    simulate.add_argument("--steady", type=int, help="requests a minute of every endpoint")
    simulate.add_argument("--faults", help="a JSON file of faults")
    return top


def _add_input(command: argparse.ArgumentParser) -> None:
    command.add_argument("--input", required=True, help="path of the dataset, anything that Spark reads")
    command.add_argument("--format", choices=FORMATS, default="parquet")
    reading = "an option of Spark's reader; CSV is read as RFC 4180, all columns as text"
    command.add_argument("--read-option", action="append", default=[], metavar="NAME=VALUE", help=reading)
    _add_options(command)


def _add_options(command: argparse.ArgumentParser) -> None:
    help_text = "an option of the write"
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
