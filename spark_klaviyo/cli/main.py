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
        command.add_argument("--json", action="store_true", help="print only JSON on standard output")
        command.set_defaults(run=run)
        return command

    demo = add("demo", "write made-up people to a simulated Klaviyo on this machine", commands.run_demo)
    demo.add_argument("--rows", type=int, default=100_000, help="number of people (default: 100,000)")

    templates = add("templates", "list the endpoint templates, or show one with its settings", commands.run_templates)
    templates.add_argument("name", nargs="?", help="the template to show")

    _add_options(add("lists", "print the ids and names of the account's lists", commands.run_lists))

    check = add("check", "try the key, its scopes, the account and the ids; write nothing", commands.run_check)
    check.add_argument("--send-sample", metavar="JSON", help="also send this row, a JSON object, for real")
    _add_options(check)

    diagnosis = "check Python, Java, Spark, packages, network and key, and say what to fix"
    _add_options(add("doctor", diagnosis, commands.run_doctor))

    preview = add("preview", "show the requests of a write without sending them", commands.run_preview)
    preview.add_argument("--rows", type=int, default=5, help="number of rows to show requests of (default: 5)")
    bodies = "show bodies, filled URLs and details; they hold people's data"
    preview.add_argument("--bodies", action=argparse.BooleanOptionalAction, default=True, help=bodies)
    preview.add_argument("--html", metavar="PATH", help="also write the preview as an HTML page to this file")
    _add_input(preview)

    _add_input(add("write", "write a dataset to Klaviyo", commands.run_write))

    follow = add("follow", "follow the jobs that a write left open; needs no Spark", commands.run_follow)
    follow.add_argument("--receipts", required=True, help="path or URI of the write's receipts (its receipts_path)")
    _add_options(follow)

    simulate = add("simulate", "run a simulated Klaviyo on this machine until Ctrl-C", commands.run_simulate)
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
