"""The report that a caller holds."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from spark_klaviyo.errors import OptionError
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.report.report import RowsRejected, WriteReport


def test_counts_that_do_not_add_up_are_refused_with_the_counts() -> None:
    with pytest.raises(AssertionError, match=r"3 rows, but 1 delivered \+ 0 accepted \+ 1 rejected"):
        WriteReport("run-1", "t", rows=3, delivered=1, rejected=1)


def test_the_dictionary_is_json_and_shows_counts_and_no_person(report: WriteReport, person: str) -> None:
    form = report.to_dict()
    text = json.dumps(form)
    assert person not in text + str(report) + repr(report)
    assert form["rows"] == 389_530
    assert form["reasons"] == {"bad_email": 20, "no_identifier": 10}
    assert form["statuses"] == {"202": 389, "429": 10, "503": 1}
    assert (form["started_at"], form["seconds"]) == ("2025-10-09T08:53:20.000Z", 300.0)
    assert form["stopped"] is None


def test_rejects_and_receipts_are_samples_unless_datasets_can_be_opened(busy: TaskReport, person: str) -> None:
    sampled = WriteReport("r", "t", **vars(busy))
    assert [row.email for row in sampled.rejects] == [person] * 10  # type: ignore[attr-defined]
    assert [receipt.job_id for receipt in sampled.receipts] == ["job-1"]  # type: ignore[attr-defined]
    opened = WriteReport("r", "t", rejects_reader=lambda: "rejects", receipts_reader=lambda: "receipts", **vars(busy))
    assert (opened.rejects, opened.receipts) == ("rejects", "receipts")


def test_a_report_survives_pickling_alone_and_in_an_error_without_its_live_readers(busy: TaskReport) -> None:
    report = WriteReport("r", "t", rejects_reader=lambda: "a DataFrame", **vars(busy))
    copy = pickle.loads(pickle.dumps(RowsRejected("rows were rejected", report))).report
    assert copy == report
    assert copy.rejects == tuple(report.rejects_sample)


def test_a_page_is_written_where_it_is_asked_for(report: WriteReport, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.html"
    for given in (path, str(path)):
        text = report.to_html(given)
        assert path.read_text(encoding="utf-8") == text
        path.unlink()


@pytest.mark.parametrize("scheme", ["s3://", "dbfs:/", "file:///"])
def test_a_page_is_not_written_to_a_path_that_is_not_local(report: WriteReport, scheme: str) -> None:
    with pytest.raises(OptionError, match=scheme.partition("/")[0]):
        report.to_html(f"{scheme}bucket/report.html")
