"""A run with a state: locks it, asks the jobs that earlier runs left open, and unlocks it at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from spark_klaviyo.account.reads import account_of, stopped_before_sending
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import StateLocation
from spark_klaviyo.deliver.jobs.poll import OpenJob, job_events
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.state.compact import compact_if_many
from spark_klaviyo.state.compare import open_jobs
from spark_klaviyo.state.format import scope_of
from spark_klaviyo.state.lock import begin_run, locked_state
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.task.resume import record_job_outcome

POLL_SECONDS = 5.0  # for the jobs that earlier runs left open, where the caller does not wait for jobs


@contextmanager
def open_state(spark: Any, plan: WritePlan, options: Options, contexts: SendContextFactory) -> Iterator[WritePlan]:
    """The plan with its state, locked for this run; the plan as it is without `state_path`.

    Raises `OptionError` where the state cannot be used, `WriteStopped` where another run uses it or Klaviyo cannot be
    asked.
    """
    if options.state_path is None:
        yield plan
        return
    account, warning = account_of(plan, options)
    if warning:
        plan = replace(plan, warnings=(*plan.warnings, warning))
    state = StateLocation(options.state_path, scope_of(account, endpoint_of(plan)), plan.run_id)
    with locked_state(state, lambda message: stopped_before_sending(plan, StopCode.STATE_IN_USE, message)) as folder:
        plan = replace(plan, state=replace(state, run_number=begin_run(folder)))
        compact_if_many(spark, folder, state.path)
        if plan.template.job is not None and folder.names():
            poll_open_jobs(spark, plan, state, contexts)
        yield plan


def endpoint_of(plan: WritePlan) -> Mapping[str, object]:
    """What makes a delivery another one: the template and its settings; in manual mode the address."""
    several = {setting.name for setting in plan.template.settings if setting.takes_several}
    settings = {
        name: sorted(part.strip() for part in value.split(",")) if name in several else value
        for name, value in plan.settings.items()
    }
    manual = plan.template.is_manual
    address = [plan.base_url, [list(pair) for pair in plan.query], plan.body_text, str(plan.content_format)]
    return {
        "template": plan.template.name,
        "legacy": str(plan.template.api) if plan.template.is_retired else "",
        "method": plan.template.method,
        "path": plan.template.path,
        "settings": settings,
        "address": address if manual else [],
    }


def poll_open_jobs(spark: Any, plan: WritePlan, state: StateLocation, contexts: SendContextFactory) -> None:
    """Ask the jobs that earlier runs left open, and record what they say."""
    jobs = [OpenJob(job_id, rows, -1) for job_id, rows in open_jobs(spark, state)]
    if not jobs:
        return
    seconds = plan.job_timeout_seconds if plan.wait_for_jobs else POLL_SECONDS
    with contexts.open(plan, -1, 0) as context:
        for piece in job_events(jobs, plan, context, seconds):
            record_job_outcome(plan, piece, context.recorder)
        if context.stop.reason is not None:
            raise stopped_before_sending(plan, *context.stop.reason)
