"""Every row ends in exactly one count, whatever the account answers and whenever the write is stopped."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import chain, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Batch, Reply
from spark_klaviyo.core.policy import Policy, Quota, ResendRule
from spark_klaviyo.deliver.delivery import Delivery
from spark_klaviyo.deliver.sender import deliver
from spark_klaviyo.plan.model import SendSpec
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter
from spark_klaviyo.templates.profiles import IMPORT_JOB
from tests.core.virtual_clock import VirtualClock
from tests.deliver.scripted import Account, batches, context_of, delivered, numbers_of, send_spec, settled_rows


def statuses_of(delivery: Delivery) -> list[int | None]:
    return [attempt.reply.status for attempt in delivery.attempts]


troubles = st.sampled_from(
    ["ok", "ok", "ok", "429", "503", "500", "502", "504", "reset before", "reset after", "unreachable", "413"]
)


@st.composite
def writes(draw: st.DrawFn) -> tuple[SendSpec, Account, list[int]]:
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
    account = Account(
        bad=draw(st.frozensets(st.integers(0, sum(sizes) - 1), max_size=6)),
        names=draw(st.sampled_from(["all", "first", "none"])),
        script=iter(draw(st.lists(troubles, max_size=30))),
        max_rows=draw(st.sampled_from([3, 100])),
    )
    policy, resend = Policy(attempts=4), ResendRule(draw(st.booleans()))
    confirmed, job = draw(st.sampled_from([(True, None), (False, None), (False, IMPORT_JOB)]))
    workers = draw(st.integers(1, 4))
    return send_spec(policy, workers=workers, job=job, confirmed_by_reply=confirmed, resend=resend), account, sizes


@given(writes())
@settings(max_examples=2 * settings().max_examples)
def test_every_row_ends_in_exactly_one_count(write: tuple[SendSpec, Account, list[int]]) -> None:
    spec, account, sizes = write
    context = context_of(account)
    pulled: list[Batch] = []

    def noted() -> Iterator[Batch]:
        for batch in batches(*sizes):
            pulled.append(batch)
            yield batch

    out = delivered(spec, noted(), context)
    taken, rejected = numbers_of(out), [rejection.row for delivery in out for rejection in delivery.rejections]
    unsent = sum(delivery.unsent for delivery in out)
    rows = sum(batch.rows for batch in pulled)

    assert sum(map(settled_rows, out)) == rows
    assert sum(delivery.delivered + delivery.accepted for delivery in out) == len(taken)
    assert max(Counter([*taken, *rejected]).values(), default=1) == 1
    assert len(taken) + len(rejected) + unsent == rows
    assert set(taken) <= set(account.stored)
    assert not set(taken) & account.bad
    assert unsent == 0 or context.stop.is_set()
    assert sum(len(delivery.attempts) for delivery in out) == len(account.sent)
    if not spec.resend.allowed:
        assert max(account.stored.values(), default=1) == 1
    sequences = [delivery.receipt.sequence for delivery in out if delivery.receipt]
    assert len(sequences) == len(set(sequences))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.data())
def test_exactly_the_bad_rows_are_rejected_and_the_rest_arrives_once(sizes: list[int], data: st.DataObject) -> None:
    bad = data.draw(st.frozensets(st.integers(0, sum(sizes) - 1)))
    account = Account(bad, data.draw(st.sampled_from(["all", "first", "none"])))
    out = delivered(send_spec(), batches(*sizes), context_of(account))
    rejections = [rejection for delivery in out for rejection in delivery.rejections]
    assert sorted(rejection.row for rejection in rejections) == sorted(bad)
    assert all(rejection.record == str(rejection.row) for rejection in rejections)
    assert account.stored == Counter(row for row in range(sum(sizes)) if row not in bad)
    assert numbers_of(out) == sorted(account.stored)


@given(st.integers(0, 20), st.lists(troubles, max_size=20), st.integers(1, 4))
def test_a_stop_at_any_moment_leaves_no_row_uncounted(after: int, script: list[str], workers: int) -> None:
    stop, pulled = Stop(), list[Batch]()
    account = Account(script=iter(script))
    account.on_send = lambda: stop.set(StopCode.INTERRUPTED) if len(account.sent) >= after else None

    def noted() -> Iterator[Batch]:
        for batch in batches(*[4] * 12):
            pulled.append(batch)
            yield batch

    out = delivered(send_spec(Policy(attempts=4), workers=workers), noted(), context_of(account, stop=stop))
    assert sum(map(settled_rows, out)) == sum(batch.rows for batch in pulled)
    assert len(account.sent) <= after + workers


def test_a_refused_key_costs_one_request() -> None:
    account, stop = Account(script=repeat("401")), Stop()
    out = delivered(send_spec(workers=8), batches(*[5] * 20), context_of(account, stop=stop))
    assert len(account.sent) == 1
    assert (stop.code, sum(delivery.unsent for delivery in out)) == ("unauthorized", 5)
    assert out[0].receipt is not None
    assert (out[0].receipt.status, out[0].receipt.outcome) == (401, "unsent")


def test_a_key_that_is_revoked_during_the_write_keeps_what_was_delivered() -> None:
    account, stop = Account(script=chain(["ok"] * 4, repeat("401"))), Stop()
    out = delivered(send_spec(workers=2), batches(*[5] * 20), context_of(account, stop=stop))
    assert sum(delivery.delivered for delivery in out) == 20
    assert 1 <= sum(delivery.unsent > 0 for delivery in out) <= 2


def test_an_endpoint_that_cannot_be_reached_stops_the_write() -> None:
    account, stop = Account(script=repeat("unreachable")), Stop()
    out = delivered(send_spec(Policy(attempts=3)), batches(5, 5), context_of(account, stop=stop))
    assert (stop.code, sum(delivery.unsent for delivery in out), len(account.sent)) == ("unreachable", 5, 3)


def test_a_throttled_write_waits_as_asked_and_loses_nothing() -> None:
    account = Account(script=iter(["429"] * 5))
    context = context_of(account)
    began = context.clock.now()
    (delivery,) = delivered(send_spec(Policy(attempts=1)), batches(7), context)
    assert (delivery.delivered, statuses_of(delivery)) == (7, [429] * 5 + [200])
    assert delivery.receipt is not None
    assert delivery.receipt.attempts == 1
    assert context.clock.now() - began >= 5.0


def test_throttling_without_end_stops_the_write_after_a_bounded_wait() -> None:
    account, stop = Account(script=repeat("429")), Stop()
    context = context_of(account, stop=stop)
    began = context.clock.now()
    (delivery,) = delivered(send_spec(), batches(7), context)
    assert (stop.code, delivery.unsent) == ("throttled", 7)
    assert context.clock.now() - began < 700


@pytest.mark.parametrize(("may_resend", "stored", "code"), [(True, 2, ""), (False, 1, "in_doubt")])
def test_a_request_whose_answer_was_lost_is_sent_again_only_where_allowed(
    may_resend: bool, stored: int, code: str
) -> None:
    account = Account(script=iter(["reset after"]))
    (delivery,) = delivered(send_spec(resend=ResendRule(may_resend)), batches(3), context_of(account))
    assert account.stored == Counter({0: stored, 1: stored, 2: stored})
    assert {rejection.code for rejection in delivery.rejections} == ({code} if code else set())
    assert delivery.resent == (3 if may_resend else 0)
    assert delivery.delivered == (3 if may_resend else 0)


def test_rows_that_may_have_arrived_when_the_write_stops_are_in_doubt() -> None:
    account, stop = Account(script=iter(["reset after"])), Stop()
    account.on_send = lambda: stop.set(StopCode.INTERRUPTED)
    (delivery,) = delivered(send_spec(), batches(3), context_of(account, stop=stop))
    assert [rejection.code for rejection in delivery.rejections] == ["in_doubt"] * 3


def test_attempts_used_up_reject_the_rows() -> None:
    account = Account(script=iter(["503"] * 3))
    (delivery,) = delivered(send_spec(Policy(attempts=3)), batches(2), context_of(account))
    assert [rejection.code for rejection in delivery.rejections] == ["unavailable"] * 2
    assert statuses_of(delivery) == [503] * 3
    assert delivery.receipt is not None
    assert (delivery.receipt.status, delivery.receipt.attempts) == (503, 3)


def test_waits_between_attempts_grow() -> None:
    context = context_of(Account(script=iter(["503"] * 5)))
    delivered(send_spec(), batches(1), context)
    assert isinstance(context.clock, VirtualClock)
    waits = context.clock.waits
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def test_good_rows_arrive_however_many_bad_ones_are_not_named() -> None:
    account = Account(frozenset(range(0, 3_000, 10)), "none")
    out = delivered(send_spec(), batches(3_000), context_of(account))
    codes = Counter(rejection.code for delivery in out for rejection in delivery.rejections)
    assert codes == {"invalid": 300}
    assert sum(delivery.delivered for delivery in out) == 2_700 == len(account.stored)
    assert set(account.stored.values()) == {1}


def test_a_request_too_large_for_the_server_is_halved() -> None:
    account = Account(max_rows=3)
    out = delivered(send_spec(), batches(10), context_of(account))
    assert sum(delivery.delivered for delivery in out) == 10
    alone = delivered(send_spec(), batches(1), context_of(Account(max_rows=0)))
    assert [rejection.code for rejection in alone[0].rejections] == ["too_large"]


def test_a_job_is_accepted_with_its_id() -> None:
    account = Account(success=Reply(202, body=b'{"data":{"type":"job","id":"QUJj"}}'))
    (delivery,) = delivered(send_spec(job=IMPORT_JOB), batches(2), context_of(account))
    assert (delivery.accepted, delivery.delivered, delivery.job_id) == (2, 0, "QUJj")
    assert delivery.receipt is not None
    assert delivery.receipt.job_id == "QUJj"


def test_an_empty_write_sends_nothing() -> None:
    account = Account()
    assert delivered(send_spec(), batches(), context_of(account)) == []
    assert account.sent == []


def test_batches_are_pulled_only_as_requests_end() -> None:
    pulled, most = 0, 0
    account = Account()

    def counted() -> Iterator[Batch]:
        nonlocal pulled, most
        for batch in batches(*[1] * 200):
            pulled += 1
            most = max(most, pulled - len(account.sent))
            yield batch

    assert len(delivered(send_spec(workers=4), counted(), context_of(account))) == 200
    assert most <= 5


def test_no_more_than_the_workers_send_at_once() -> None:
    lock, busy, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def on_send() -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        if len(account.sent) >= 1:  # the first goes alone
            together.wait(10)
        with lock:
            busy -= 1

    account = Account(on_send=on_send)
    delivered(send_spec(workers=3), batches(*[1] * 7), context_of(account))
    assert most == 3


def test_closing_the_generator_wakes_sleepers_and_sends_nothing_new() -> None:
    account = Account(script=chain(["ok"], repeat("429")))
    write = deliver(send_spec(workers=2), batches(*[1] * 50), context_of(account, limiter=LocalRateLimiter()))
    assert next(iter(write)) is not None
    write.close()  # type: ignore[attr-defined]
    sent = len(account.sent)
    assert sent < 50
    assert len(account.sent) == sent
    assert not any(thread.name.startswith("klaviyo-send") for thread in threading.enumerate())


def test_when_the_upstream_fails_requests_in_flight_are_counted_first() -> None:
    def failing() -> Iterator[Batch]:
        yield from batches(2, 2, 2)
        message = "upstream"
        raise RuntimeError(message)

    out: list[Delivery | None] = []
    with pytest.raises(RuntimeError, match="upstream"):
        out.extend(deliver(send_spec(workers=3), failing(), context_of(Account())))
    assert sum(delivery.delivered for delivery in out if delivery) == 6


def test_a_none_among_the_batches_is_passed_on_at_once() -> None:
    def pausing() -> Iterator[Batch | None]:
        yield None
        yield from batches(2)
        yield None

    out = list(deliver(send_spec(), pausing(), context_of(Account())))
    assert out[0] is None
    assert out[-1] is None
    assert sum(delivery.delivered for delivery in out if delivery) == 2


def test_a_permit_is_acquired_for_every_attempt() -> None:
    account = Account(script=iter(["503", "429"]))
    clock = VirtualClock()
    context = context_of(account, limiter=LocalRateLimiter(clock))
    quota = Quota(((1, 30.0),))
    began = clock.now()
    delivered(send_spec(quota=quota), batches(1, 1), context)
    assert len(account.sent) == 4
    assert clock.now() - began >= 90.0


def test_a_receipt_says_what_became_of_a_request_and_holds_no_value_of_a_row() -> None:
    account = Account(frozenset({1}))
    refused, passed = delivered(send_spec(), batches(3), context_of(account))
    assert refused.receipt is not None
    assert passed.receipt is not None
    assert (refused.receipt.status, refused.receipt.outcome, refused.receipt.rows) == (400, "refused", 3)
    assert (passed.receipt.status, passed.receipt.outcome, passed.receipt.rows) == (200, "delivered", 2)
    assert passed.receipt.url == "https://a.klaviyo.com/api/rows"
    assert passed.receipt.bytes == len(b'{"data":[0,2]}')
    assert passed.receipt.started_at.endswith("Z")
