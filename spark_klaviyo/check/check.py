"""The Test button: can a write with these options begin? Only reads, unless one sample row is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.account import account
from spark_klaviyo.account.reads import Asking, asking
from spark_klaviyo.check import manual, sample_row, scopes, settings
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.templates import find_template, templates
from spark_klaviyo.templates.model import Template

ATTEMPTS = 2  # who presses a button waits for an answer


def check_klaviyo(*, send_sample: object = None, **options: object) -> CheckResult:
    """Try out what can be tried without writing: address, key, account, revision, ids, scopes.

    `send_sample`: one row (a dict, or a Spark Row), which is then really sent; without it nothing is ever written.
    Raises `OptionError` with every complaint about the options.
    """
    return check(read_options(options, EntryPoint.CHECK, templates(), find_template), send_sample)


def check(options: Options, send_sample: object = None) -> CheckResult:
    """The same with options already read."""
    template = find_template(options.template, options.api) if options.template else None
    lines = [_options_line(options)]
    where = manual.address(options)
    found = account.Account()
    if where.is_current:
        with asking(options, attempts=ATTEMPTS, base_url=where.origin) as ask:
            found = account.ask_account(ask, options, where.origin)
            lines += found.lines
            if found.usable and template is not None:
                lines += _in_the_account(ask, options, template)
    lines += manual.lines(options, where)
    if send_sample is not None:
        lines.append(sample_row.send(options, send_sample))
    return CheckResult(tuple(lines), account=found.name, template=template.name if template else "", sent=_sent(lines))


def _in_the_account(ask: Asking, options: Options, template: Template) -> Iterator[CheckLine]:
    yield from settings.lines(ask, options, template)
    yield from scopes.lines(ask, options, template)


def _options_line(options: Options) -> CheckLine:
    given = ", ".join(f"{name}={text}" for name, text in sorted(options.public().items()) if name != "template")
    told = " with ".join(filter(None, [options.template or (options.url and "manual mode"), given]))
    return CheckLine("options", True, told, "; ".join(options.warnings))


def _sent(lines: list[CheckLine]) -> bool:
    return any(line.name == sample_row.NAME and line.ok is not None for line in lines)
