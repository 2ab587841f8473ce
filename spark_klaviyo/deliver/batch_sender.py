"""One batch, from the first attempt to the last row's outcome: tries, waits, and takes refused batches apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

import numpy as np

from spark_klaviyo.core.clock import rfc3339
from spark_klaviyo.core.codes import ReceiptOutcome, RejectCode
from spark_klaviyo.core.models import Batch, Receipt, Reply
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.delivery import Attempt, Delivery, SendContext, SendSpec
from spark_klaviyo.deliver.isolate import Isolated, id_of, isolate, rejections
from spark_klaviyo.http.documents import Fault, faults, job_id, safe_detail
from spark_klaviyo.http.failures import UNREACHABLE
from spark_klaviyo.http.judge import (
    Done,
    Halt,
    Reject,
    ReplyRules,
    RequestRefused,
    TooLarge,
    Tries,
    Verdict,
    Wait,
    judge,
    may_have_committed,
    took,
)
from spark_klaviyo.templates.model import Confirmation

ONE_OR_ZERO = ("/api/track", "/api/identify")  # v1: the text 1 or 0
PIECE = 1_000_000  # pieces of batch 7 are numbered 1,000,007, 2,000,007 and so on
# After a lost answer to a creation, these mean that it was carried out. Elsewhere they say what they always say: that
# two identifiers belong to two profiles, and nothing was stored.
ARRIVED_AFTER_ALL = ((409, "duplicate_profile"), (409, "conflict"))
NO_ROW_LEFT = "Klaviyo refused more requests than max_refusals allows before every bad row was found"


@dataclass
class Sending:
    """One request, possibly tried several times."""

    batch: Batch
    sequence: int
    size: int
    started_at: str
    began: float
    tries: Tries = field(default_factory=lambda: Tries(attempts=0))
    attempts: list[Attempt] = field(default_factory=list)
    doubted: bool = False  # its rows may have arrived before, in a larger batch
    reply: Reply = field(default_factory=lambda: Reply(None, sent=False))

    @property
    def doubtful(self) -> bool:
        """Whether some attempt may have been done, though no answer says so."""
        return any(attempt.doubtful for attempt in self.attempts)

    @property
    def arrivals(self) -> int:
        """How often the rows may have arrived; of a server error nobody knows how far the request came."""
        may = (one.doubtful or one.reply.status == 500 or took(one.reply.status) for one in self.attempts)
        return self.doubted + sum(may)


class BatchSender:
    """Carries batches of one task. Used by several threads; what they share is set once (`_proven`)."""

    def __init__(self, order: SendSpec, context: SendContext, stop: Stop) -> None:
        self._order, self._context, self._stop = order, context, stop
        template = order.template
        self._route = f"{template.method} {template.path}"
        self._row_paths = "{" in template.path and bool(order.params or template.path_fields)
        self._pages = template.is_manual
        self._says_one = template.path.rstrip("/") in ONE_OR_ZERO
        old = str(template.api) if template.is_retired else ""
        self._legacy = "template" if old and not template.is_manual else old
        self._proven = False  # some request has passed, so the address is right

    def carry(self, batch: Batch, hand_over: Callable[[Delivery], None]) -> None:
        """Send a batch until each of its rows has an outcome, and hand over a delivery for every request."""
        todo, refusals, pieces, doubted = [batch], 0, 0, False
        while todo:
            piece = todo.pop(0)
            sending = self._sending(piece, batch.sequence + PIECE * pieces, doubted)
            pieces += 1
            verdict = self._until_settled(sending)
            if isinstance(verdict, (RequestRefused, TooLarge)):
                refusals += 1
                parted = self._parted(piece, verdict)
                todo[:0] = parted.again
                doubted = doubted or sending.doubtful
                delivery = self._partly(sending, parted, verdict)
                if refusals >= self._order.policy.max_refusals and todo:
                    delivery = _given_up(delivery, todo)
                    todo = []
                hand_over(delivery)
            elif verdict is None or isinstance(verdict, Halt):
                hand_over(self._stopped(sending, verdict, sum(rest.rows for rest in todo)))
                return
            else:
                hand_over(self._settled(sending, verdict))

    def _sending(self, piece: Batch, sequence: int, doubted: bool) -> Sending:
        size = sum(len(part) for part in piece.parts())
        started_at = rfc3339(self._context.clock.wall())
        return Sending(piece, sequence, size, started_at, self._context.clock.now(), doubted=doubted)

    def _until_settled(self, sending: Sending) -> Verdict | None:
        """Attempts and waits until a verdict is final; None when stopped before that."""
        endpoint = self._order.template
        while self._context.limiter.acquire(self._route, self._order.quota, self._stop):
            self._attempt(sending)
            done = (
                endpoint.already_satisfied if sending.batch.rows == 1 else ()
            )  # of several rows, a refusal settles none
            if sending.batch.rows == 1 and sending.doubtful and not endpoint.idempotent:
                done = (*done, *ARRIVED_AFTER_ALL)
            rules = ReplyRules(
                done,
                self._about_a_row(sending),
                self._legacy,
                self._pages,
                self._says_one,
                self._order.resend.allows(sending.batch),
            )
            verdict = judge(sending.reply, sending.tries, self._order.policy, self._context.roll(), rules)
            if isinstance(verdict, Wait):
                self._wait(sending, verdict)
                continue
            self._proven = self._proven or isinstance(verdict, Done)
            return verdict
        return None

    def _about_a_row(self, sending: Sending) -> bool:
        """Whether a 404 means rows, not the address: records may name what does not exist, as may their path."""
        if self._row_paths or self._proven or sending.batch.envelope.of_a_row:
            return True
        if sending.reply.status != 404:
            return False
        found = [fault for fault in faults(sending.reply.body) if fault.code and "revision" not in fault.detail.lower()]
        if not found or self._order.template.limits.max_rows == 1:
            return bool(found)
        words = frozenset[str]().union(*(fault.words for fault in found))
        if words.intersection(filter(None, map(id_of, sending.batch.records()))):
            return True
        of_the_path = words & set(unquote(sending.batch.envelope.path).split("/"))
        return not of_the_path and (sending.batch.rows > 1 or bool(self._order.params))

    def _attempt(self, sending: Sending) -> None:
        envelope = sending.batch.envelope
        reply = self._context.transport.send(
            self._order.template.method, envelope.path, query=envelope.query, parts=sending.batch.parts()
        )
        self._context.limiter.observe(self._route, reply)
        sending.reply = reply
        over = self._context.clock.wall().timestamp()
        sending.attempts.append(Attempt(replace(reply, body=b""), over, may_have_committed(reply)))
        tries = sending.tries
        sending.tries = replace(
            tries,
            attempts=tries.attempts + (reply.status != 429),
            unreachable=tries.unreachable + (reply.failure in UNREACHABLE),
            throttles=tries.throttles + (reply.status == 429),
        )

    def _wait(self, sending: Sending, verdict: Wait) -> None:
        began = self._context.clock.now()
        self._context.clock.wait(verdict.seconds, self._stop)
        if verdict.throttled:
            waited = sending.tries.throttled_seconds + self._context.clock.now() - began
            sending.tries = replace(sending.tries, throttled_seconds=waited)

    def _parted(self, piece: Batch, verdict: RequestRefused | TooLarge) -> Isolated:
        if isinstance(verdict, RequestRefused):
            return isolate(
                piece, verdict.faults, self._order.template.rows_pointer, self._order.template.unique_id_field
            )
        if piece.rows > 1:
            return Isolated({}, piece.halves())
        return Isolated(
            {0: Fault(RejectCode.TOO_LARGE, detail="the request with this row alone is larger than Klaviyo takes")}
        )

    def _partly(self, sending: Sending, parted: Isolated, verdict: RequestRefused | TooLarge) -> Delivery:
        said = verdict.faults[0].detail if isinstance(verdict, RequestRefused) and verdict.faults else ""
        rejected = rejections(sending.batch, parted.rejected, sending.reply.status)
        ended = replace(self._ended(sending, ReceiptOutcome.REFUSED, safe_detail(said)), rejections=rejected)
        if not parted.there:
            return ended
        held = sending.batch.pick(np.array(sorted(parted.there), dtype=np.int64))
        if self._order.template.confirmation is Confirmation.REPLY:
            return replace(ended, batch=held, delivered=held.rows)
        return replace(ended, batch=held, accepted=held.rows)

    def _settled(self, sending: Sending, verdict: Verdict) -> Delivery:
        if isinstance(verdict, Reject):
            fault = Fault(verdict.code, detail=verdict.detail)
            rejected = rejections(sending.batch, dict.fromkeys(range(sending.batch.rows), fault), sending.reply.status)
            return replace(self._ended(sending, ReceiptOutcome(verdict.code), verdict.detail), rejections=rejected)
        confirmation, rows = self._confirmation(sending.reply), sending.batch.rows
        if confirmation is Confirmation.REPLY or not took(sending.reply.status):
            return replace(self._ended(sending, ReceiptOutcome.DELIVERED), delivered=rows, batch=sending.batch)
        job = job_id(sending.reply.body) if confirmation is Confirmation.JOB else None
        return replace(self._ended(sending, ReceiptOutcome.ACCEPTED, job=job), accepted=rows, batch=sending.batch)

    def _confirmation(self, reply: Reply) -> Confirmation:
        """What a success means; 202 never says more than that it was taken."""
        confirmation = self._order.template.confirmation
        return Confirmation.NONE if confirmation is Confirmation.REPLY and reply.status == 202 else confirmation

    def _stopped(self, sending: Sending, verdict: Halt | None, rest: int) -> Delivery:
        """The write was stopped: what may have arrived is in doubt, what did not is unsent."""
        reason = (verdict.code, verdict.message) if verdict is not None else self._stop.reason
        if reason is not None:
            self._context.stop.set(*reason)  # also where the rate-limit server said so
        if sending.doubtful:
            fault = Fault(
                RejectCode.IN_DOUBT,
                detail="sent, but the answer was lost, and the write was stopped before it was sent again",
            )
            rejected = rejections(sending.batch, dict.fromkeys(range(sending.batch.rows), fault), sending.reply.status)
            return replace(
                self._ended(sending, ReceiptOutcome.IN_DOUBT, self._context.stop.message),
                rejections=rejected,
                unsent=rest,
            )
        ended = self._ended(sending, ReceiptOutcome.UNSENT, self._context.stop.message)
        return replace(ended, unsent=sending.batch.rows + rest, receipt=ended.receipt if sending.attempts else None)

    def _ended(self, sending: Sending, outcome: ReceiptOutcome, detail: str = "", job: str | None = None) -> Delivery:
        order = self._order
        receipt = Receipt(
            run_id=order.run_id,
            partition_id=self._context.partition_id,
            sequence=sending.sequence,
            template=order.template.name,
            method=order.template.method,
            url=order.base_url + order.template.path,
            status=sending.reply.status,
            attempts=sending.tries.attempts,
            rows=sending.batch.rows,
            bytes=sending.size,
            started_at=sending.started_at,
            seconds=self._context.clock.now() - sending.began,
            job_id=job,
            outcome=outcome,
            detail=detail,
        )
        return Delivery(
            receipt,
            retries=max(sending.tries.attempts - 1, 0),
            throttled=sending.tries.throttles,
            resent=sending.batch.rows if sending.arrivals > 1 else 0,
            requests=len(sending.attempts),
            bytes=sending.size * sum(attempt.reply.sent for attempt in sending.attempts),
            job_id=job,
            attempts=tuple(sending.attempts),
        )


def _given_up(delivery: Delivery, left: list[Batch]) -> Delivery:
    """The bound of refusals is reached: what is left is rejected as a whole."""
    rejected = list(delivery.rejections)
    for batch in left:
        fault = Fault(RejectCode.NOT_ISOLATED, detail=NO_ROW_LEFT)
        rejected += rejections(batch, dict.fromkeys(range(batch.rows), fault), None)
    return replace(delivery, rejections=tuple(rejected))
