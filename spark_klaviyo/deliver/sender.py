"""Batches in, deliveries out, as they complete: a few requests at a time, and flat memory however many there are."""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Batch
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.batch_sender import BatchSender
from spark_klaviyo.deliver.delivery import Delivery, SendContext, SendSpec
from spark_klaviyo.deliver.pool import Caught, DaemonPool

JOIN_SECONDS = 5.0  # a stopped write sends nothing new; it waits this long for requests under way


def deliver(plan: SendSpec, batches: Iterator[Batch | None], context: SendContext) -> Iterator[Delivery | None]:
    """Send every batch and yield a delivery for each request that came to an end.

    A None among the batches is no batch but a pause: it is handed on at once, so that the caller can act meanwhile.

    The first batch goes alone, so that a refused key costs one request. Then up to `plan.workers` are under way, and a
    batch is pulled only when one of them is free. `line.stop` ends it: set by somebody else, or here when a reply says
    that no further request makes sense; batches pulled by then are handed back as unsent. When `batches` raises, what
    is under way is finished and yielded before the error goes on. Closing the generator sends nothing new.
    """
    stop = Stop(context.stop)
    hands: DaemonPool[Batch, Delivery] = DaemonPool(BatchSender(plan, context, stop).carry, max(plan.workers, 1))
    source = _Source(batches, stop)
    try:
        yield from _flow(hands, source, max(plan.workers, 1))
        source.complain()
    finally:
        stop.set(StopCode.CLOSED, "the write was ended")
        hands.finish(JOIN_SECONDS)


def _flow(hands: DaemonPool[Batch, Delivery], source: _Source, most: int) -> Iterator[Delivery | None]:
    allowed = 1
    while True:
        while hands.busy < allowed and source.more():
            batch = source.pull()
            if batch is None:
                yield None
            else:
                hands.give(batch)
        if not hands.busy:
            return
        delivery = hands.result()
        if delivery is None:
            allowed = most  # the first batch has come to its end
        else:
            yield delivery


class _Source:
    """The batches until they end, raise, or the write stops."""

    def __init__(self, batches: Iterator[Batch | None], stop: Stop) -> None:
        self._batches, self._stop = batches, stop
        self._ended = False
        self._caught = Caught(Exception)

    def more(self) -> bool:
        return not (self._ended or self._stop.is_set())

    def pull(self) -> Batch | None:
        """The next batch; None for a pause, and when `more` has become False."""
        self._ended = True  # unless an item comes
        with self._caught:  # raised once the requests under way are accounted for
            for batch in self._batches:
                self._ended = False
                return batch
        return None

    def complain(self) -> None:
        if self._caught.error is not None:
            raise self._caught.error
