"""Sends batches with a few requests in flight and yields deliveries as they complete; memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Batch
from spark_klaviyo.core.stop import Stop
from spark_klaviyo.deliver.batch_sender import BatchSender
from spark_klaviyo.deliver.delivery import Delivery, SendContext
from spark_klaviyo.deliver.pool import Capture, DaemonPool
from spark_klaviyo.plan.model import SendSpec

JOIN_SECONDS = 5.0  # a stopped write sends nothing new, and waits so long for requests in flight


def deliver(spec: SendSpec, batches: Iterator[Batch | None], context: SendContext) -> Iterator[Delivery | None]:
    """Send every batch and yield a delivery for each request that ended.

    `None` among the batches is passed on at once, so that the caller can drain rejections. The first batch is sent
    alone, so that a refused key costs one request. After it up to `spec.workers` requests are in flight, and a batch
    is pulled only when a worker is free. Once `context.stop` is set no batch is pulled any more; those pulled before
    come back as unsent. When `batches` raises, requests in flight are finished and yielded first. Closing the
    generator sends nothing new.
    """
    stop, failure = Stop(context.stop), Capture(Exception)
    workers = max(spec.workers, 1)
    pool: DaemonPool[Batch, Delivery] = DaemonPool(BatchSender(spec, context, stop).send, workers)
    try:
        in_flight = 1
        for batch in _until_stopped(batches, stop, failure):
            if batch is None:
                yield None
                continue
            pool.submit(batch)
            yield from _results(pool, in_flight)
            in_flight = workers  # the first batch has ended
        yield from _results(pool, 1)
        failure.reraise()
    finally:
        stop.set(StopCode.CLOSED, "the write was ended")
        pool.shutdown(JOIN_SECONDS)


def _results(pool: DaemonPool[Batch, Delivery], in_flight: int) -> Iterator[Delivery]:
    """The deliveries that end while so many batches, or more, are in flight."""
    while pool.busy >= in_flight:
        delivery = pool.next_result()
        if delivery is not None:
            yield delivery


def _until_stopped(batches: Iterator[Batch | None], stop: Stop, failure: Capture) -> Iterator[Batch | None]:
    """The batches until they end, fail or the write is stopped; a failure is kept for later."""
    with failure:
        if stop.is_set():
            return
        for batch in batches:
            yield batch
            if stop.is_set():
                return
