"""Sends one batch until each of its rows has an outcome: attempts, waits, and isolation of refused rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any
from urllib.parse import unquote

import numpy as np

from spark_klaviyo.core.clock import rfc3339
from spark_klaviyo.core.codes import ReceiptOutcome, RejectCode, StopCode
from spark_klaviyo.core.models import Batch, Receipt, Reply
from spark_klaviyo.deliver.delivery import Attempt, Delivery, SendContext
from spark_klaviyo.deliver.isolate import Isolated, id_of, isolate, reject_all, rejections
from spark_klaviyo.deliver.refusals import AlikeRefusals, stored_equal
from spark_klaviyo.http import judge
from spark_klaviyo.http.documents import Fault, faults, first_detail, job_id, json_object, values_of, without_values
from spark_klaviyo.http.headers import left_out
from spark_klaviyo.options.addresses import host_of, is_klaviyo
from spark_klaviyo.plan.model import SendSpec
from spark_klaviyo.templates.model import Confirmation, Template

ANSWER_ZERO_OR_ONE = ("/api/track", "/api/identify")  # v1
PART_STEP = 1_000_000  # further requests of batch 7 are numbered 1,000,007, 2,000,007 and so on

KLAVIYO_CODES = frozenset(  # recorded, of refusals of rows
    ["", "invalid", "duplicate_profile", "conflict", "variant_not_found", "tag_service_error", "not_found", "error"]
)

TOO_LARGE = Fault(RejectCode.TOO_LARGE, detail="the request with this row alone is larger than Klaviyo takes")
NOBODY_ERASED = "Klaviyo knows nobody by this identifier: nobody was erased"
IN_DOUBT = Fault(
    RejectCode.IN_DOUBT, detail="sent, but the answer was lost, and the write was stopped before it was sent again"
)
# Sent before, with its answer lost or by an earlier attempt of the task; then refused with 409.
CONFLICT_IN_DOUBT = judge.Reject(
    RejectCode.IN_DOUBT,
    "Klaviyo has such a record already: it may be this row, sent before, or another one, as what is there differs or "
    "cannot be read; check it at Klaviyo",
)


@dataclass
class Request:
    """One request, from its first attempt to its verdict."""

    batch: Batch
    sequence: int
    size: int
    started_at: str
    began: float
    # Whether its rows may have arrived before, in a larger batch or by an earlier attempt of the task.
    may_repeat: bool
    state: judge.RetryState = field(default_factory=judge.RetryState)
    attempts: list[Attempt] = field(default_factory=list)
    reply: Reply = field(default_factory=lambda: Reply(None, sent=False))

    @property
    def in_doubt(self) -> bool:
        """Whether some attempt may have been carried out although no reply says so."""
        return any(attempt.in_doubt for attempt in self.attempts)

    @property
    def may_have_arrived_twice(self) -> bool:
        """Whether its rows may have arrived more than once; a server error does not say how far the request came."""
        statuses = ((attempt.in_doubt, attempt.reply.status) for attempt in self.attempts)
        arrivals = sum(in_doubt or status == 500 or judge.is_success(status) for in_doubt, status in statuses)
        return self.may_repeat + arrivals > 1


class BatchSender:
    """Sends the batches of one task; used by several threads."""

    def __init__(self, spec: SendSpec, context: SendContext) -> None:
        self._spec, self._context = spec, context
        template = spec.template
        self._route = f"{template.method} {template.path}"
        self._rows_in_path = "{" in template.path and bool(spec.params or template.path_fields)
        is_elsewhere = template.is_manual and not is_klaviyo(host_of(spec.base_url))
        self._rules = judge.ReplyRules(
            by_status=template.is_retired or is_elsewhere,
            is_klaviyo=not is_elsewhere,
            promises_resource=template.promises_resource,
            promises_job=template.job is not None,
            zero_is_a_refusal=template.path.rstrip("/") in ANSWER_ZERO_OR_ONE,
            retired_advice=_retired_advice(template),
        )
        self._constants = frozenset(values_of([template.record, template.body]))  # "profile" is no value of a row
        self._address_is_right = False  # set once, after the first success
        self._alike = AlikeRefusals(spec.policy.account_refused_after, template.rows_pointer, self._constants)

    def send(self, batch: Batch, emit: Callable[[Delivery], None]) -> None:
        """Send a batch until each of its rows has an outcome, and emit a delivery for every request."""
        pending, in_doubt = [batch], self._context.repeats
        for part in count():
            if not pending:
                return
            request = self._begin(pending.pop(0), batch.sequence + PART_STEP * part, may_repeat=in_doubt)
            verdict = self._until_final(request)
            if verdict is None or isinstance(verdict, judge.Halt):
                emit(self._stopped(request, verdict, sum(rest.rows for rest in pending)))
                return
            if isinstance(verdict, judge.RequestRefused) and self._is_repeat(request, verdict):
                is_stored = stored_equal(self._spec, self._context, request.batch, verdict)
                verdict = judge.Done() if is_stored else CONFLICT_IN_DOUBT
            if not isinstance(verdict, judge.RequestRefused):
                emit(self._final(request, verdict))
                continue
            in_doubt = in_doubt or request.in_doubt
            isolated = self._isolate(request.batch, verdict)
            pending[:0] = isolated.again
            emit(self._refused(request, isolated, verdict))
            self._stop_if_account_is_refused(request, verdict)

    def _begin(self, batch: Batch, sequence: int, *, may_repeat: bool) -> Request:
        clock, size = self._context.clock, sum(len(part) for part in batch.parts())
        return Request(batch, sequence, size, rfc3339(clock.wall()), clock.now(), may_repeat)

    def _until_final(self, request: Request) -> judge.Verdict | None:
        """Attempt and wait until a verdict is final; None when stopped first."""
        context, template, envelope = self._context, self._spec.template, request.batch.envelope
        clock = context.clock
        while context.limiter.acquire(self._route, self._spec.quota, context.stop):
            parts = request.batch.parts()
            reply = context.transport.send(template.method, envelope.path, query=envelope.query, parts=parts)
            context.limiter.observe(self._route, reply)
            request.reply, request.state = reply, request.state.after(reply)
            ended, in_doubt = clock.wall().timestamp(), judge.may_have_committed(reply, self._rules)
            request.attempts.append(Attempt(replace(reply, body=b""), ended, in_doubt))
            verdict = judge.judge(reply, request.state, self._spec.policy, context.roll(), self._rules_for(request))
            if isinstance(verdict, judge.Done):
                self._address_is_right = True
                self._alike.end()
            if not isinstance(verdict, judge.Wait):
                return verdict
            began = clock.now()
            clock.wait(verdict.seconds, context.stop)
            request.state = request.state.waited(verdict, clock.now() - began)
        return None

    def _rules_for(self, request: Request) -> judge.ReplyRules:
        template = self._spec.template
        return replace(
            self._rules,
            # of several rows, a refusal says nothing of each
            already_satisfied=template.already_satisfied if request.batch.rows == 1 else (),
            not_found_is_a_row=self._not_found_is_a_row(request),
            may_resend=self._spec.resend.allows(request.batch),
        )

    def _not_found_is_a_row(self, request: Request) -> bool:
        """Whether a 404 is about rows and not the address: records or their path may name what does not exist."""
        if self._rows_in_path or self._address_is_right or request.batch.envelope.of_a_row:
            return True
        found = faults(request.reply.body) if request.reply.status == 404 else ()
        found = tuple(fault for fault in found if fault.code and "revision" not in fault.detail.lower())
        if not found or self._spec.template.limits.max_rows == 1:
            return bool(found)
        words = frozenset[str]().union(*(fault.words for fault in found))
        if words.intersection(filter(None, map(id_of, request.batch.records()))):
            return True
        names_the_path = words & set(unquote(request.batch.envelope.path).split("/"))
        return not names_the_path and (request.batch.rows > 1 or bool(self._spec.params))

    def _is_repeat(self, request: Request, verdict: judge.RequestRefused) -> bool:
        """Whether a 409 can be explained by an earlier sending of the same row, where the endpoint refuses repeats."""
        template = self._spec.template
        refuses_repeats = template.method == "POST" and (template.is_manual or not template.idempotent)
        if verdict.status != 409 or request.batch.rows > 1 or not refuses_repeats:
            return False
        return request.in_doubt or request.may_repeat or self._context.driver.overtaken()

    def _stop_if_account_is_refused(self, request: Request, verdict: judge.RequestRefused) -> None:
        if self._alike.add(request.batch, verdict) and not self._context.driver.others_delivered():
            said = first_detail(verdict.faults) or f"HTTP {verdict.status}"
            self._context.stop.set(
                StopCode.ACCOUNT_REFUSED,
                f"Klaviyo refused the first {self._alike.most} single rows alike, pointing at none of them ({said}): "
                "it refuses the account, not the rows",
            )

    def _isolate(self, batch: Batch, verdict: judge.RequestRefused) -> Isolated:
        template = self._spec.template
        if verdict.status != 413:
            found = self._with_safe_codes(verdict.faults, batch)
            return isolate(batch, found, template.rows_pointer, template.unique_id_field)
        return Isolated({}, batch.halves()) if batch.rows > 1 else Isolated({0: TOO_LARGE})

    def _refused(self, request: Request, isolated: Isolated, verdict: judge.RequestRefused) -> Delivery:
        detail = self._masked(first_detail(verdict.faults), request.batch)
        rejected = rejections(request.batch, isolated.rejected, request.reply.status)
        delivery = self._delivery(request, ReceiptOutcome.REFUSED, detail, rejections=rejected)
        if not isolated.already_stored:
            return delivery
        stored = request.batch.pick(np.array(sorted(isolated.already_stored), dtype=np.int64))
        is_confirmed = self._spec.template.confirmation is Confirmation.REPLY
        delivered = stored.rows if is_confirmed else 0
        return replace(delivery, batch=stored, delivered=delivered, accepted=stored.rows - delivered)

    def _final(self, request: Request, verdict: judge.Verdict) -> Delivery:
        if isinstance(verdict, judge.Reject):
            fault = Fault(verdict.code, detail=verdict.detail)
            rejected = reject_all(request.batch, fault, request.reply.status)
            return self._delivery(request, ReceiptOutcome(verdict.code), verdict.detail, rejections=rejected)
        confirmation, status = self._spec.template.confirmation, request.reply.status
        batch, reason = request.batch, left_out(request.reply)
        if isinstance(verdict, judge.Done):
            reason = reason or verdict.unconfirmed
        if confirmation is Confirmation.REPLY and (status == 202 or reason):
            confirmation = Confirmation.NONE  # a 202 never says more than that the request was taken
        nobody_erased = self._spec.template.confirmation is Confirmation.NONE and status == 404
        reason = NOBODY_ERASED if nobody_erased else reason
        if confirmation is Confirmation.REPLY or not (judge.is_success(status) or nobody_erased):
            return self._delivery(request, ReceiptOutcome.DELIVERED, delivered=batch.rows, batch=batch)
        job = job_id(request.reply.body) if confirmation is Confirmation.JOB else None
        if job is not None and batch.contains(job.encode()):
            job, reason = None, judge.NO_JOB  # a text of the request's own, which no receipt may repeat
        detail = f"{reason}: row {int(batch.numbers()[0])}" if reason and batch.rows == 1 else reason
        outcome = ReceiptOutcome.ACCEPTED
        return self._delivery(request, outcome, detail, job, accepted=batch.rows, batch=batch, reason=reason)

    def _stopped(self, request: Request, verdict: judge.Halt | None, rest: int) -> Delivery:
        """The write was stopped: rows that may have arrived are in doubt, others (and `rest` more) are unsent."""
        if verdict is not None:
            self._context.stop.set(verdict.code, self._masked(verdict.message, request.batch))
        message = self._context.stop.message
        if request.in_doubt:
            rejected = reject_all(request.batch, IN_DOUBT, request.reply.status)
            return self._delivery(request, ReceiptOutcome.IN_DOUBT, message, rejections=rejected, unsent=rest)
        unsent = request.batch.rows + rest
        if not request.attempts:
            return Delivery(None, unsent=unsent)
        return self._delivery(request, ReceiptOutcome.UNSENT, message, unsent=unsent)

    def _with_safe_codes(self, found: tuple[Fault, ...], batch: Batch) -> tuple[Fault, ...]:
        """The faults without a code that is a value of the batch's rows: reports count rejected rows by code."""
        if KLAVIYO_CODES.issuperset(fault.code for fault in found):
            return found
        values = {value.lower() for record in batch.records() for value in values_of(json_object(record))}
        values -= {value.lower() for value in self._constants}
        return tuple(replace(fault, code="") if fault.code.lower() in values else fault for fault in found)

    def _masked(self, text: str, batch: Batch) -> str:
        """A text of the server's as receipts, reports and errors may hold it: without a value of the batch's rows."""
        if not text:
            return ""
        envelope = batch.envelope
        filled = set[str]()  # what path and query hold of the row
        if envelope.of_a_row:
            filled = {unquote(part) for part in envelope.path.split("/")} - set(self._spec.template.path.split("/"))
            filled |= {value for _, value in envelope.query}
        values = (value for record in batch.records() for value in values_of(json_object(record)))
        return without_values(text, chain(values, filter(None, filled)), self._constants)

    def _delivery(
        self, request: Request, outcome: ReceiptOutcome, detail: str = "", job: str | None = None, **settled: Any
    ) -> Delivery:
        template = self._spec.template
        receipt = Receipt(
            run_id=self._spec.run_id,
            partition_id=self._context.partition_id,
            sequence=request.sequence,
            template=template.name,
            method=template.method,
            url=self._spec.base_url + template.path,
            status=request.reply.status,
            attempts=request.state.attempts,
            rows=request.batch.rows,
            bytes=request.size,
            started_at=request.started_at,
            seconds=self._context.clock.now() - request.began,
            job_id=job,
            outcome=outcome,
            detail=detail,
        )
        resent = request.batch.rows if request.may_have_arrived_twice else 0
        return Delivery(receipt, tuple(request.attempts), resent=resent, **settled)


def _retired_advice(template: Template) -> str:
    """The one option to change when Klaviyo answers 410."""
    if not template.is_retired:
        return "set revision to a newer one"
    if not template.is_manual:
        return "set api=current"
    return f"its {template.api} API is gone: set url to one of the current API (https://a.klaviyo.com/api/...)"
