"""The report of one task, counted as its requests end, and the merging of many into one.

Counts by name have a bounded number of names, so that a report stays small whatever Klaviyo answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.models import Receipt, RejectedRow, Reply
from spark_klaviyo.http.documents import json_object, safe_detail, values_of, without_values
from spark_klaviyo.report.counts import summary
from spark_klaviyo.report.counts.summary import MAX_NAME_LENGTH, MAX_RECEIPTS, OTHER, Series, Summary, count

NO_ANSWER = 0  # stands among the statuses for attempts that no reply came to
MAX_EXAMPLES = 5
MAX_DETAILS, MAX_EXPLANATION = 6, 200  # codes of which a report keeps a sentence, and its characters
# Names of fields and constants of records, which stand in explanations and are no value of a row.
OUR_WORDS = frozenset({"profile", "event", "email", "phone_number", "external_id"})
NO_KLAVIYO_ID = '; where these are your own ids and not Klaviyo\'s, give fields={"external_id": COLUMN}'
_CODE = re.compile(r"[\w.-]{1,64}", re.ASCII)


def explained(row: RejectedRow) -> str:
    """Why a row was rejected, as one sentence without a value of it, and what to do where that is known."""
    record, text = json_object(row.record.encode()), " ".join(row.detail.split())
    if row.status is not None or row.row < 0:  # Klaviyo's sentence may name other people, too
        text = safe_detail(text)
    text = without_values(text, values_of(record), OUR_WORDS)[:MAX_EXPLANATION]
    if row.pointer.endswith("/id") and not RejectCode.text_of(row.code):
        text += NO_KLAVIYO_ID
    return text


class TaskReport(Summary):
    """The summary of one task while it counts; it pickles and goes through JSON."""

    def reject(self, row: RejectedRow) -> None:
        """Count a rejected row; the first few of each code go into the sample."""
        self.rejected += 1
        code = row.code if _CODE.fullmatch(row.code) else OTHER
        code = count(self.reasons, code)
        if code not in self.details and len(self.details) < MAX_DETAILS:
            self.details[code] = explained(row)
        shown = self.examples.setdefault(code, [])
        if row.row >= 0 and len(shown) < MAX_EXAMPLES:  # a row that a job named has no number
            shown.append((row.partition_id, row.row))
        if self.reasons[code] <= MAX_EXAMPLES:
            most = summary.MAX_DETAIL_LENGTH
            sampled = replace(row, detail=row.detail[:most], pointer=row.pointer[:most])
            self.rejects_sample = summary.sample_rejects([*self.rejects_sample, sampled])

    def accept(self, rows: int, because: str) -> None:
        """Count rows that were taken but cannot be confirmed, with the reason as a phrase."""
        self.accepted += rows
        count(self.accepted_because, because, rows)

    def uncount_accepted(self, rows: int, because: str) -> None:
        """Take back rows accepted for this reason: their job's end is known now, and they are counted anew."""
        self.accepted -= rows
        name = because[:MAX_NAME_LENGTH]
        name = name if name in self.accepted_because else OTHER
        left = self.accepted_because.pop(name, 0) - rows
        if left > 0:
            self.accepted_because[name] = left

    def skip(self, rows: int, because: str) -> None:
        """Count rows that need no sending, with the reason as a phrase."""
        self.skipped += rows
        count(self.skipped_because, because, rows)

    def warn(self, warning: str, times: int = 1) -> None:
        """Count a warning; its text holds no value of a row."""
        count(self.warnings, warning, times)

    def record_reply(self, reply: Reply, *, at: float, rows: int, size: int) -> None:
        """Count one attempt of a request of `size` bytes: it ended at epoch second `at`, and `rows` were taken."""
        throttled = int(reply.status == 429)
        count(self.statuses, reply.status or NO_ANSWER)
        self.throttled += throttled
        self.series.add(at, rows, 1, throttled)
        request_id = reply.headers.get("x-klaviyo-req-id", "")[:64]
        slow = summary.SlowRequest(reply.seconds, reply.status, rows, size, request_id)
        self.slowest = summary.sample_slowest([*self.slowest, slow])

    def record_consent_reads(self, reads: int, seconds: float) -> None:
        """Count reads of who has opted out, and how long they were waited for."""
        self.consent_reads += reads
        self.consent_seconds += seconds

    def record_receipt(self, receipt: Receipt) -> None:
        """Count a request by its receipt, whose attempts leave out throttled ones; the first few are kept."""
        self.requests += 1
        self.retries += max(receipt.attempts - 1, 0)
        self.bytes += receipt.bytes
        if len(self.receipts_sample) < MAX_RECEIPTS:
            self.receipts_sample.append(receipt)

    def record_job(self, job_id: str, state: str, rows: int) -> None:
        """Note the state in which this run leaves a job; called once a job."""
        count(self.job_states, state)
        self.jobs = summary.sample_jobs([*self.jobs, summary.Job(job_id, state, rows)])

    def record_job_outcome(self, job_id: str, outcome: str, detail: str) -> None:
        """Put the outcome of a job into the kept receipt of its request."""
        self.receipts_sample = [
            replace(receipt, outcome=outcome, detail=detail) if receipt.job_id == job_id else receipt
            for receipt in self.receipts_sample
        ]

    def without_rows(self) -> TaskReport:
        """The same without sampled rows, receipts and members: what may stand in a commit message or a log."""
        return replace(self, rejects_sample=[], receipts_sample=[], removed_sample=[])

    def to_json(self) -> str:
        """All of it as JSON text, the sample of rejected rows included; `from_json` reads it."""
        members = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> TaskReport:
        """The report that `to_json` wrote; members that this version does not know are ignored."""
        known = {member.name for member in fields(TaskReport)}
        members = {name: value for name, value in json.loads(text).items() if name in known}
        for member in fields(TaskReport):
            if "kind" in member.metadata:
                members[member.name] = [member.metadata["kind"](**entry) for entry in members.get(member.name, ())]
        members["statuses"] = {int(status): times for status, times in members.get("statuses", {}).items()}
        for pairs in members.get("examples", {}).values():
            pairs[:] = map(tuple, pairs)
        if "series" in members:
            width, buckets = members["series"].values()
            members["series"] = Series(width, {int(bucket): tuple(counts) for bucket, counts in buckets.items()})
        if "stopped" in members:
            members["stopped"] = tuple(members["stopped"])
        return TaskReport(**members)


def merge(reports: Iterable[TaskReport]) -> TaskReport:
    """One report of several tasks, each of whose fields says how its values are merged."""
    tasks = list(reports)
    merged = TaskReport()
    for one in fields(TaskReport):
        setattr(merged, one.name, one.metadata["merge"]([getattr(task, one.name) for task in tasks]))
    details = [(code, merged.details[code]) for code in merged.reasons if code in merged.details]
    merged.details = dict(details[:MAX_DETAILS])
    merged.examples = _merge_examples(tasks, merged.reasons)
    return merged


def _merge_examples(tasks: list[TaskReport], reasons: Mapping[str, int]) -> dict[str, list[tuple[int, int]]]:
    merged: dict[str, list[tuple[int, int]]] = {}
    for task in tasks:
        for code, pairs in task.examples.items():
            shown = merged.setdefault(code if code in reasons else OTHER, [])
            shown.extend(pairs[: MAX_EXAMPLES - len(shown)])
    return merged
