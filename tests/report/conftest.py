"""A busy task's report and the write report made of it, with a person's data where it may be and nowhere else."""

from __future__ import annotations

import pytest

from spark_klaviyo.core.models import Receipt, RejectedRow, Rejection, Reply
from spark_klaviyo.core.policy import Quota
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.report.pages.preview import MappedColumn, Preview, PreviewRejection, PreviewRequest
from spark_klaviyo.report.report import WriteReport

START = 1_760_000_000.0
PERSON = "ann.secret@example.com"
BODY = '{"data":[{"email":"ann@example.com","points":9007199254740993,"price":12.50,"tags":[]}]}'


@pytest.fixture
def person() -> str:
    """A person's data, which must not be shown."""
    return PERSON


@pytest.fixture
def busy() -> TaskReport:
    """Five minutes of 400 requests: throttled and broken replies, rejected, accepted and skipped rows, an open job."""
    task = TaskReport(started=START, ended=START + 300)
    for number in range(400):
        status = 429 if number % 40 == 7 else 503 if number == 99 else 202
        mark = {"x-klaviyo-req-id": f"req-{number:04}"}
        reply = Reply(status, mark, b"", seconds=0.2 + number / 1000)
        task.record_reply(reply, at=START + number * 0.75, rows=1000 if status == 202 else 0, size=5000)
    for row in range(30):
        code = ("bad_email", "bad_email", "no_identifier")[row % 3]
        rejection = Rejection(row, f'{{"email":"{PERSON}"}}', code, f"{PERSON} is bad", "/data/0", 400)
        task.reject(RejectedRow(run_id="run-1", partition_id=3, email=PERSON, **vars(rejection)))
    task.record_receipt(
        Receipt("run-1", 3, 0, "bulk_import_profiles", "POST", "https://a.klaviyo.com/api/x", 202, 2, 1000, 5000,
                "2026-01-01T00:00:00Z", 0.3, "job-1", "delivered", "")
    )  # fmt: skip
    task.accept(1000, "the job was not finished in time")
    task.skip(500, "delivered before")
    task.record_job("job-1", "complete", 1000)
    task.record_job("job-2", "processing", 1000)
    task.warn("a phone was <dropped>", 12)
    task.requests, task.bytes, task.delivered, task.rows = 389, 1_945_000, 388_000, 389_530
    return task


@pytest.fixture
def report(busy: TaskReport) -> WriteReport:
    """The report of a run with that one task."""
    quota = Quota(((10, 1.0), (150, 60.0)))
    return WriteReport("run-1", "bulk_import_profiles", quota=quota, **vars(busy))


@pytest.fixture
def preview() -> Preview:
    """A dry run with a request, a near miss and a row that would be rejected."""
    url = "https://a.klaviyo.com/api/profiles/"
    headers = (("authorization", "Klaviyo-API-Key pk_secret"), ("revision", "2026-01-15"))
    request = PreviewRequest("PATCH", url + "ann@example.com", headers, BODY, 1, len(BODY), url + "{email}")
    return Preview(
        "update_profile",
        (request,),
        (MappedColumn("EMAIL", "email"), MappedColumn("e_mail", "custom property", "did you mean email?")),
        (PreviewRejection(3, "bad_email", "ann@ is no address"),),
        ("`e_mail` is sent as a custom property",),
        rows=12_400_000,
        requests_expected=1240,
        bytes_expected=5_900_000_000,
        minutes_expected=8.4,
    )


@pytest.fixture
def checked() -> CheckResult:
    """The Test button with a good line, a bad one with advice, and one that could not be made."""
    lines = (
        CheckLine("key", True, "Klaviyo knows it"),
        CheckLine("list", False, "the account has no list with the id Nope12", "`spark-klaviyo lists` prints ids."),
        CheckLine("scopes for writing", None, "lists:write needed; reading cannot show whether the key has them"),
    )
    return CheckResult(lines, "Test Shop", "add_profiles_to_list")
