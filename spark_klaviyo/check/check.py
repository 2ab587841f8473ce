"""`check_klaviyo`: can a write with these options begin? It only reads, unless one sample row is given to be sent."""

from __future__ import annotations

from spark_klaviyo.account.reads import open_reader
from spark_klaviyo.check.account_lines import AccountCheck, check_account
from spark_klaviyo.check.address_lines import address_lines, address_of
from spark_klaviyo.check.sample_row import SAMPLE_ROW, send_sample_row
from spark_klaviyo.check.scope_lines import scope_lines
from spark_klaviyo.check.setting_lines import setting_lines
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.templates import find_template, templates

ATTEMPTS = 2  # a person waits for the answer


def check_klaviyo(*, send_sample: object = None, **options: object) -> CheckResult:
    """Check address, key, account, revision, ids and scopes without writing anything.

    Args:
        send_sample: One row, as a dict of column and value or a Spark Row. It is really sent, through the pipeline
            that every write uses. Without it nothing is ever written.
        **options: The options of the write. Neither `template` nor `url` is needed to check a key.

    Returns:
        A `CheckResult`: true where no check failed, with a line for each check; renders as HTML in a notebook.

    Raises:
        OptionError: The options are wrong, with every complaint, or `send_sample` is no row or its template deletes.
    """
    return check(read_options(options, EntryPoint.CHECK, templates(), find_template), send_sample)


def check(options: Options, send_sample: object = None) -> CheckResult:
    """The same with options already read."""
    template = find_template(options.template, options.api) if options.template else None
    lines = [_options_line(options)]
    address = address_of(options)
    account = AccountCheck()
    if address.is_current:
        with open_reader(options, attempts=ATTEMPTS, base_url=address.origin) as reader:
            account = check_account(reader, options, address.origin)
            lines += account.lines
            if account.usable and template is not None:
                lines += setting_lines(reader, options, template)
                lines += scope_lines(reader, options, template)
    lines += address_lines(options, address)
    if send_sample is not None:
        lines.append(send_sample_row(options, send_sample))
    sent = any(line.name == SAMPLE_ROW and line.ok is not None for line in lines)
    return CheckResult(tuple(lines), account=account.name, template=template.name if template else "", sent=sent)


def _options_line(options: Options) -> CheckLine:
    given = ", ".join(f"{name}={text}" for name, text in sorted(options.public().items()) if name != "template")
    shown = " with ".join(filter(None, [options.template or (options.url and "manual mode"), given]))
    return CheckLine("options", True, shown, "; ".join(options.warnings))
