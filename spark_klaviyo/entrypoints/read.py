"""Options as every entry point reads them: against the one table of templates."""

from __future__ import annotations

from collections.abc import Mapping

from spark_klaviyo.errors import complain
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.plan.manual.manual_mode import ManualCall


def options_at(entry_point: EntryPoint, given: Mapping[str, object], *, recorded: bool = False) -> Options:
    """The options given at an entry point, or an `OptionError` with every complaint.

    `recorded`: Spark writes them down (plans, event log), so a literal key is refused.
    """
    options = read_options(given, entry_point, recorded=recorded)
    if options.url and not options.template:
        complain(list(ManualCall(options).complaints()))
    return options
