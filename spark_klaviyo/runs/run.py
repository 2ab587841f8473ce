"""One run of an entry point with a session: what it sends with, and what it writes to, opened and closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_klaviyo.core.stop import Stop
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.runs.outputs.session_outputs import SessionOutputs
from spark_klaviyo.runs.rate_limit_session import rate_limit_session
from spark_klaviyo.runs.spark import session
from spark_klaviyo.state.session import resuming
from spark_klaviyo.task.context import SendContextFactory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Run:
    """A run under way. `stop` stops all its tasks; None where they cannot be reached."""

    df: DataFrame
    plan: WritePlan
    options: Options
    outputs: SessionOutputs
    contexts: SendContextFactory
    stop: Stop | None


@contextmanager
def open_run(df: DataFrame, plan: WritePlan, options: Options) -> Iterator[Run]:
    """Open a run. Raises `OptionError` where its datasets or its state cannot be used, before anything is sent."""
    session.choose_worker_python(df)
    spark = session.session_of(df)
    outputs = SessionOutputs.open(spark, options, plan.run_id)
    with (
        rate_limit_session(df, plan, options) as (contexts, stop),
        resuming(spark, plan, options, contexts) as plan,
    ):
        yield Run(df, plan, options, outputs, contexts, stop)
