"""`check_klaviyo`: can a write with these options begin? It only reads, unless one sample row is given to be sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, cast
from uuid import uuid4

from spark_klaviyo.account.reads import open_reader
from spark_klaviyo.account.target import account_origin, resolve
from spark_klaviyo.check.account_lines import check_account, scope_lines, setting_lines, unreachable_line
from spark_klaviyo.core.codes import Failure, KeyIn
from spark_klaviyo.core.models import Reply, Target
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.encode.encoder import encode
from spark_klaviyo.encode.rows import Row, arrow_batches, columns_of
from spark_klaviyo.errors import OptionError
from spark_klaviyo.http.documents import json_object, safe_detail, values_of, without_values
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.options.addresses import host_of, is_klaviyo, shown_place
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.plan.make import make_plan, template_of, with_columns
from spark_klaviyo.plan.manual.manual_mode import ManualCall
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.task.run import SendContextFactory, run_task
from spark_klaviyo.templates.model import Template

ATTEMPTS = 2  # a person waits for the answer
GONE = 410  # the status of every call of a retired API
RETIRED = "Klaviyo retired its v1 and v2 API on 2024-06-30: every call is answered HTTP 410 and stores nothing"
SAMPLE = "`check_klaviyo(send_sample=row, ...)`"
SAMPLE_ROW = "sample row"


def check_klaviyo(*, send_sample: object = None, **options: object) -> CheckResult:
    """Check address, key, account, revision, ids and scopes without writing anything.

    Args:
        send_sample: One row, as a dict of column and value or a Spark Row. It is sent for real, as a write would
            send it. Without it nothing is written.
        **options: The options of the write. Neither `template` nor `url` is needed to check a key.

    Returns:
        A `CheckResult`: true where no check failed, with a line for each check; renders as HTML in a notebook.

    Raises:
        OptionError: The options are wrong, with every complaint; or `send_sample` is no row, or its template
            subscribes, suppresses, lifts suppressions, takes away, deletes or merges.
    """
    return check(read_options(options, EntryPoint.CHECK), send_sample)


def check(options: Options, send_sample: object = None) -> CheckResult:
    """The same with options already read."""
    template = template_of(options) if options.template or options.url else None
    if send_sample is not None:
        _refuse_sample(options, template, send_sample)
    lines = [_options_line(options)]
    origin = ManualCall(options).origin if options.url else options.base_url
    takes_key = options.key_in is KeyIn.HEADER and bool(account_origin(options))
    account: Target | None = None
    if template is None or (takes_key and not template.is_retired):
        with open_reader(replace(options, attempts=ATTEMPTS, base_url=origin)) as reader:
            account, found = check_account(reader, options, origin)
            lines += found
            if account is not None and options.template and template is not None:
                lines += setting_lines(reader, options, template)
                lines += scope_lines(reader, options, template)
        if options.url and template is not None:
            lines.append(_untried(options, template))
    else:
        if options.account_id:
            missing = f"no key that could show whether it is {options.account_id} is sent here"
            lines.append(CheckLine("account", False, missing))
        lines += address_lines(options, template, origin)
    if send_sample is not None:
        lines.append(send_sample_row(options, send_sample))
    sent = any(line.name == SAMPLE_ROW and line.ok is not None for line in lines)
    return CheckResult(tuple(lines), account.account if account else "", options.template or "", sent)


def _options_line(options: Options) -> CheckLine:
    given = ", ".join(f"{name}={text}" for name, text in sorted(options.shown.items()) if name != "template")
    shown = " with ".join(filter(None, [options.template or (options.url and "manual mode"), given]))
    return CheckLine("options", True, shown)


# --- addresses outside Klaviyo's current API: what can be found out without writing ---------------


def address_lines(options: Options, template: Template, origin: str) -> Iterator[CheckLine]:
    """What can be found out where no account can be read."""
    host, old_path = host_of(origin), template.path if template.is_retired else ""
    reply = reply_without_key(origin, old_path, timeout_seconds=options.timeout_seconds, proxy=options.proxy)
    yield _reachable_line(options, template, reply, host)
    yield CheckLine("key", None, "it cannot be tried at this address without writing")
    if template.is_retired and (is_klaviyo(host) or reply.status == GONE):
        yield CheckLine("endpoint", False, RETIRED, "Use a template of the current API (`api=current`).")
    else:
        yield _untried(options, template)


def _untried(options: Options, template: Template) -> CheckLine:
    call = f"{options.method} {shown_place(options.url)}" if options.url else f"{template.name} (api={template.api})"
    advice = _sample(template, "really sends one row.")
    return CheckLine("endpoint", None, f"{call} cannot be tried without writing", advice)


def reply_without_key(origin: str, old_path: str = "", **connection: Any) -> Reply:
    """The reply to a HEAD of the host's root, or a GET of an old call, without key and row: neither writes anything."""
    with closing(Transport(origin, {}, Credentials(), key_in=KeyIn.NONE, **connection)) as transport:
        if old_path:
            return transport.send("GET", re.sub(r"\{[^{}]*\}", "x", old_path))
        return transport.send("HEAD", "/")


def _reachable_line(options: Options, template: Template, reply: Reply, host: str) -> CheckLine:
    """Any status shows that the host can be reached; a connection without an answer does not."""
    if reply.status is not None:
        return CheckLine("address", True, f"{host} answers")
    failure = reply.failure.text if reply.failure else "no answer came"
    if not reply.sent:
        return unreachable_line(host, failure)
    if reply.failure is Failure.TIMEOUT:
        found = f"{host} takes the connection, but gave no answer within {options.timeout_seconds:g} s"
        return CheckLine("address", False, found, "Check that a server, and not only a gateway, listens there.")
    found = f"{host} takes the connection, but {failure}"
    return CheckLine("address", None, found, _sample(template, "shows whether it answers a write."))


# --- the sample row -------------------------------------------------------------------------------


def send_sample_row(options: Options, row: object) -> CheckLine:
    """Send one row through the pipeline that every write uses; the line says what became of it."""
    resolved = resolve(options)
    plan = make_plan(resolved, (), uuid4().hex, schema_known=False)
    batch = next(arrow_batches([cast("Row", row)]))
    plan = with_columns(plan, resolved, columns_of(batch))
    with SendContextFactory().open(plan, 0, 0) as context:
        events = list(run_task(plan, iter([encode(batch, plan)]), context))
    return _line(next(event for event in reversed(events) if isinstance(event, TaskReport)))


def _refuse_sample(options: Options, template: Template | None, row: object) -> None:
    """Raise `OptionError` for anything but a row, and where the endpoint asks for care; nothing was read by then."""
    if not (isinstance(row, Mapping) or hasattr(row, "__fields__")) or not row:
        raise OptionError("send_sample: expected one row: a dict of column and value, or a Spark Row")
    if template is not None and template.needs_care:
        raise OptionError(
            f"send_sample: {options.template or 'this url'} subscribes, suppresses, takes away, deletes or merges, so "
            "no sample of it is ever sent; leave send_sample out"
        )


def _sample(template: Template, what: str) -> str:
    """Advice to send a sample row; none where none is ever sent."""
    return "" if template.needs_care else f"{SAMPLE} {what}"


def _line(report: TaskReport) -> CheckLine:
    statuses = ", ".join(f"HTTP {status}" for status in report.statuses if status)
    if report.stopped is not None:
        return CheckLine(SAMPLE_ROW, False, report.stopped[1])
    if report.rejected:
        reject = report.rejects_sample[0]
        detail = without_values(safe_detail(reject.detail), values_of(json_object(reject.record)))
        parts = [statuses, reject.code, detail]
        return CheckLine(SAMPLE_ROW, False, " ".join(filter(None, parts)))
    outcome = "delivered" if report.delivered else "accepted: " + ", ".join(report.accepted_because)
    return CheckLine(SAMPLE_ROW, True, f"{statuses}, {outcome}")
