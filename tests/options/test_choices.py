"""Every choice of every option changes what a write does, or is refused: none is read and then forgotten.

Each option has one probe, which writes with a choice and returns what can be observed: requests over real HTTP to the
simulator, outcomes of rows, an error, a decision. The observations of an option's choices must all differ.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from spark_klaviyo import write_klaviyo
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.modes.change_data.delete_plan import delete_plan
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import BY_NAME, OPTIONS
from spark_klaviyo.options.option import Option
from spark_klaviyo.options.readers import OneOf, yes_no
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, Type
from spark_klaviyo.report.counts.summary import Counters
from spark_klaviyo.report.progress import open_progress
from spark_klaviyo.report.report import RowsRejected
from spark_klaviyo.runs.results import return_or_raise
from spark_klaviyo.runs.send_from_driver import sends_from_driver
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.acceptance.sending import KEY, LIST, SINK, Row, Sent, send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Observed = object
HEADERS = ("Content-Type", "Authorization")
Given = Mapping[str, Any]
IMPORT = {"template": "bulk_import_profiles"}
MANUAL = {"url": SINK}
EMAIL = [Field("email", Type("string"))]
ANN: Row = {"email": "ann@example.com", "shoe": "42"}


def choices(option: Option) -> list[str]:
    """The texts that an option takes, where these are a closed set."""
    if isinstance(option.reader, OneOf):
        return [str(member.value) for member in option.reader.members]
    return ["true", "false"] if option.reader is yes_no else []


def writing(given: Given, *rows: Row) -> Callable[[str, str], Observed]:
    """A probe that sends rows to the simulator: the requests, the outcomes and the warnings."""

    def probe(name: str, choice: str) -> Observed:
        with KlaviyoSimulator(job_polls=0) as klaviyo:
            options: dict[str, Any] = {**given, name: choice}
            return observed(send(klaviyo, rows or [ANN], **options), klaviyo.url)

    return probe


def observed(sent: Sent, url: str) -> Observed:
    requests = [
        (request.method, request.path, str(request.query), *map(request.headers.get, HEADERS), request.body)
        for request in sent.requests
        if request.method != "GET" or request.path == SINK
    ]
    report = sent.report
    counts = (report.delivered, report.accepted, report.rejected, report.skipped, report.resent)
    return str((requests, counts, [one.code for one in sent.rejected], report.warnings)).replace(url, "")


def lost_answers(name: str, choice: str) -> Observed:
    """Answers are lost once, of an idempotent call and of one that is not."""
    found = []
    for template in ("create_or_update_profile", "create_profile"):
        with KlaviyoSimulator(faults=[Fault("reset_after", times=1)]) as klaviyo:
            options: dict[str, Any] = {"template": template, name: choice}
            found.append(observed(send(klaviyo, [ANN], **options), klaviyo.url))
    return found


def ending(name: str, choice: str) -> Observed:
    """How a write ends that rejected a row."""
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        report = send(klaviyo, [{"email": "nobody"}], template="bulk_import_profiles").report
    options = options_at(EntryPoint.FUNCTION, {**IMPORT, "api_key": KEY, name: choice})
    try:
        return_or_raise(report, options.on_reject)
    except RowsRejected:
        return "raised"
    return "returned"


def plain_http(name: str, choice: str) -> Observed:
    """An address that is not loopback; nothing is sent."""
    given = {**IMPORT, "api_key": KEY, "base_url": "http://gateway.klaviyo.com", name: choice}
    return make_plan(options_at(EntryPoint.FUNCTION, given), EMAIL, "run").base_url


def deletes(name: str, choice: str) -> Observed:
    """The template that deletes of change data go to."""
    given = {"template": "add_profiles_to_list", "list_id": LIST, "api_key": KEY, "change_column": "op"}
    options = options_at(EntryPoint.FUNCTION, {**given, "confirm_deletion": "1", name: choice})
    found = delete_plan(options, make_plan(options, EMAIL, "run"))
    return found and found.options.template


class Screen(io.StringIO):
    """A stream that is a terminal, or is not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.isatty = lambda: terminal  # type: ignore[method-assign]


def bars(name: str, choice: str) -> Observed:
    """Whether anything is shown on a terminal, and in a log."""
    options = options_at(EntryPoint.FUNCTION, {**IMPORT, "api_key": KEY, name: choice})
    shown = []
    for screen in (Screen(terminal=True), Screen(terminal=False)):
        display = open_progress(options.progress, stream=screen)
        if display is not None:
            display.update(Counters(rows=10, requests=1), None)
            display.close()
        shown.append(screen.getvalue() != "")
    return shown


class ConnectFrame:
    """As much of a Spark Connect DataFrame as deciding where to send from needs; its one task runs in this process."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id

    @property
    def sparkSession(self) -> ConnectFrame:  # noqa: N802  Spark's name
        return self

    def range(self, *_: object, **__: object) -> ConnectFrame:
        return self

    def mapInArrow(self, task: Any, _: str) -> ConnectFrame:  # noqa: N802  Spark's name
        self.task = task
        return self

    def collect(self) -> list[dict[str, object]]:
        batch = pa.RecordBatch.from_pydict({"id": [0]})
        return [row for made in self.task(iter([batch])) for row in made.to_pylist()]


def sending_process(name: str, choice: str) -> Observed:
    """Whether the calling process sends under Connect, where tasks reach the endpoint and where they do not."""
    found = []
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        for url in (klaviyo.url, "http://127.0.0.1:9"):
            options = options_at(EntryPoint.FUNCTION, {**IMPORT, "api_key": KEY, "base_url": url, name: choice})
            frame: Any = ConnectFrame(url)
            found.append(sends_from_driver(frame, make_plan(options, EMAIL, "run"), options))
    return found


PROBES: dict[str, Callable[[str, str], Observed]] = {
    "api": writing({"template": "add_profiles_to_list", "list_id": LIST}),
    "method": writing(MANUAL),
    "content_format": writing(MANUAL, ANN, {"email": "bea@example.com", "shoe": "38"}),
    "key_in": writing({"url": SINK, "body": '{"rows":{rows}}'}),
    "allow_http": plain_http,
    "batch_mode": writing(IMPORT, ANN, {"email": "bea@example.com"}),
    "resend": lost_answers,
    "send_from": sending_process,
    "other_columns": writing(IMPORT),
    "nulls": writing({"template": "create_or_update_profile"}, {"email": "ann@example.com", "title": None}),
    "validate": writing(IMPORT, {"email": "nobody", "title": "x"}),
    "on_bad_phone": writing(IMPORT, {"email": "ann@example.com", "phone_number": "12"}),
    "on_reject": ending,
    "wait_for_jobs": writing({**IMPORT}),
    "progress": bars,
    "on_delete": deletes,
}
WITH_SPARK = {"list_mode"}


def observe(name: str, choice: str) -> str:
    """What a choice does, or how it is refused."""
    try:
        return repr(PROBES[name](name, choice))
    except (OptionError, SchemaError) as error:
        return f"refused: {error}"


def test_every_option_with_choices_has_a_probe() -> None:
    assert {option.name for option in OPTIONS if choices(option)} == set(PROBES) | WITH_SPARK


@pytest.mark.parametrize("name", PROBES)
def test_every_choice_of_an_option_changes_the_write_or_is_refused(name: str) -> None:
    first, *others = choices(BY_NAME[name])
    found = {choice: observe(name, choice) for choice in (first, *others)}
    assert len(set(found.values())) == len(found), found
    assert observe(name, first) == found[first]  # so that a difference comes of the choice and of nothing else


def test_a_list_is_added_to_or_mirrored(spark: SparkSession) -> None:
    for mode, left in (("add", 2), ("mirror", 1)):
        with KlaviyoSimulator(job_polls=0) as klaviyo:
            klaviyo.add_profiles([{"email": "bea@example.com"}], LIST)
            given = {"template": "add_profiles_to_list", "list_id": LIST, "base_url": klaviyo.url, "api_key": KEY}
            people = spark.createDataFrame([("ann@example.com",)], "email string")
            write_klaviyo(people, **given, list_mode=mode, **({"max_removals": "100%"} if mode == "mirror" else {}))
            assert len(klaviyo.lists[LIST]) == left
