"""The entry point of the command line: runs one command, and turns errors into messages and an exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from spark_klaviyo.cli.arguments import parser
from spark_klaviyo.cli.commands import ExitStatus, print_result
from spark_klaviyo.errors import KlaviyoError
from spark_klaviyo.report.report import RowsRejected, WriteStopped


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Those of the process unless given.

    Returns:
        The exit status, a member of `ExitStatus`.
    """
    given = parser().parse_args(arguments)
    try:
        status: ExitStatus = given.run(given)
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
    return status
