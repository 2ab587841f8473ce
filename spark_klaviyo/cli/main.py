"""The command line: arguments in, exit status out (0 done, 1 rows rejected, 2 bad options or schema, 3 stopped).

Commands import what they need themselves, for the start-up time of the others.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version

from spark_klaviyo.cli.commands import run_check, run_lists, run_preview
from spark_klaviyo.cli.options import given_options
from spark_klaviyo.errors import KlaviyoError, OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.report.errors import RowsRejected, WriteStopped
from spark_klaviyo.report.report import WriteReport

DONE, REJECTED, REFUSED, STOPPED = 0, 1, 2, 3
MOST_PORT = 65_535
FORMATS = ("parquet", "csv", "json", "delta")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the command line."""
    given = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.run
    try:
        return command(given)
    except (WriteStopped, RowsRejected) as error:
        tell(error.report, as_json=given.json) if error.report is not None else None
        sys.stderr.write(f"{error}\n")
        return STOPPED if isinstance(error, WriteStopped) else REJECTED
    except KlaviyoError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except ImportError as error:
        sys.stderr.write(f"{error.name or error} is not installed; pip install 'spark-klaviyo[local]' has all\n")
        return REFUSED
    except Exception as error:  # nothing foreseen: where it was raised is told, and no value that its text may hold
        frames = "".join(traceback.format_tb(error.__traceback__))
        sys.stderr.write(f"{frames}{given.command} ended midway with {type(error).__name__}\n")
        return STOPPED


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(prog="spark-klaviyo", description="Any Spark DataFrame into Klaviyo.")
    top.add_argument("--version", action="version", version=f"spark-klaviyo {version('spark-klaviyo')}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    _demo(commands)
    _templates(commands)
    _lists(commands)
    _check(commands)
    _preview(commands)
    _write(commands)
    _follow(commands)
    _simulate(commands)
    return top


def _demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = _command(commands, "demo", "the main job on the embedded simulator: real Spark, real HTTP", run_demo)
    demo.add_argument("--rows", type=int, default=100_000, help="how many made-up people (100,000)")


def _templates(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = _command(commands, "templates", "list the endpoint templates, or one with its settings", run_templates)
    listing.add_argument("name", nargs="?", help="one template, described in full")


def _lists(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add_options(_command(commands, "lists", "print ids and names of the account's lists", run_lists))


def _check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    checking = _command(commands, "check", "the Test button: try key, account and ids, and write nothing", run_check)
    checking.add_argument("--send-sample", metavar="JSON", help="really send this one row, a JSON object")
    add_options(checking)


def _preview(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    previewing = _command(commands, "preview", "show what a write would send, and send nothing", run_preview)
    previewing.add_argument("--rows", type=int, default=5, help="rows whose requests are shown (5)")
    bodies = "show bodies, filled URLs and details, which hold people's data (default)"
    previewing.add_argument("--bodies", action=argparse.BooleanOptionalAction, default=True, help=bodies)
    previewing.add_argument("--html", metavar="PATH", help="write the page of a notebook to this file")
    add_input(previewing)


def _write(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    writing = _command(commands, "write", "write a dataset to Klaviyo", run_write)
    add_input(writing)


def _follow(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    following = _command(commands, "follow", "settle the jobs that a write left open; needs no cluster", run_follow)
    following.add_argument("--receipts", required=True, help="path or URI of the receipts dataset")
    add_options(following)


def _simulate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    simulating = _command(commands, "simulate", "run a local Klaviyo until Ctrl-C", run_simulate)
    simulating.add_argument("--port", type=int, default=0)
    simulating.add_argument("--latency", type=float, default=0.0, help="seconds added to each reply")
    simulating.add_argument("--burst", type=int, help="requests a second of every endpoint")
    simulating.add_argument("--steady", type=int, help="requests a minute of every endpoint")
    simulating.add_argument("--faults", help="a JSON file of faults")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help_text: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=help_text, description=help_text)
    made.add_argument("--json", action="store_true", help="print the report as JSON on standard output, alone")
    made.set_defaults(run=run)
    return made


def add_input(command: argparse.ArgumentParser) -> None:
    """Arguments of the commands that read a dataset with Spark."""
    command.add_argument("--input", required=True, help="path of the dataset, anything Spark reads")
    command.add_argument("--format", choices=FORMATS, default="parquet")
    add_options(command)


def add_options(command: argparse.ArgumentParser) -> None:
    """The options of a write, one `--option name=value` each."""
    command.add_argument(
        "--option", "-o", action="append", default=[], metavar="NAME=VALUE", help="an option of the write"
    )


def tell(report: WriteReport, *, as_json: bool) -> None:
    """Print a report for people, or as JSON alone."""
    sys.stdout.write((json.dumps(report.to_dict(), indent=2) if as_json else str(report)) + "\n")


# --- commands -------------------------------------------------------------------------------------


def run_demo(given: argparse.Namespace) -> int:
    """`demo`."""
    from spark_klaviyo.cli.demo import demo

    return demo(given.rows, as_json=given.json)


def run_templates(given: argparse.Namespace) -> int:
    """`templates [NAME]`."""
    from spark_klaviyo.cli.listing import list_all, list_one

    sys.stdout.write(list_one(given.name, as_json=given.json) if given.name else list_all(as_json=given.json))
    return DONE


def run_write(given: argparse.Namespace) -> int:
    """`write`."""
    from spark_klaviyo.cli.reading import opened
    from spark_klaviyo.entrypoints.read import options_at
    from spark_klaviyo.modes.dispatch import write

    options = options_at(EntryPoint.COMMAND, given_options(given.option))
    with opened(given.input, given.format) as frame:
        report = write(frame, options)
    tell(report, as_json=given.json)
    return DONE


def run_follow(given: argparse.Namespace) -> int:
    """`follow`."""
    from spark_klaviyo.entrypoints.read import options_at
    from spark_klaviyo.runs.follow.follow_receipts import follow_receipts

    report = follow_receipts(given.receipts, options_at(EntryPoint.FOLLOW, given_options(given.option)))
    tell(report, as_json=given.json)
    return DONE


def run_simulate(given: argparse.Namespace) -> int:
    """`simulate`."""
    from spark_klaviyo.simulator.command import simulate
    from spark_klaviyo.simulator.faults import read_faults

    try:
        faults = read_faults(given.faults)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise OptionError(f"--faults: expected a JSON file with a list of faults: {error}") from error
    if not 0 <= given.port <= MOST_PORT:
        raise OptionError(f"--port: expected a number from 0 (any free one) to {MOST_PORT}, not {given.port}")
    try:
        return simulate(given.port, given.latency, given.burst, given.steady, faults)
    except OSError as error:
        raise OptionError(f"--port: {given.port} cannot be listened on: {error.strerror}") from error
