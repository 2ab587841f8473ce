"""Collections are read to their end, or it is said that they were not."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Document, Reader, ReadFailed, ReadTarget
from spark_klaviyo.ratelimit.limiter import RateLimiter
from spark_klaviyo.templates.limits import L
from tests.core.virtual_clock import VirtualClock


class Pages:
    """An endpoint with so many pages."""

    def __init__(self, count: int) -> None:
        self.count, self.read = count, 0

    def send(self, method: str, path: str, **_: object) -> Reply:
        assert (method, path) == ("GET", "/api/profiles")
        self.read += 1
        following = f"https://a.klaviyo.com/api/profiles?page[cursor]={self.read}" if self.read < self.count else None
        return Reply(200, body=json.dumps({"data": [], "links": {"next": following}}).encode())


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_a_collection_of_too_many_pages_counts_as_not_read(count: int) -> None:
    clock = VirtualClock()
    context = SendContext(Pages(count), RateLimiter(clock), clock, Stop(), roll=lambda: 0.5)
    pages = list[Document]()
    with pytest.raises(ReadFailed) if count > 3 else nullcontext() as failed:
        pages += Reader(Policy(), context).pages(ReadTarget("/api/profiles", L), 3)
    assert len(pages) == min(count, 3)
    assert failed is None or failed.value.code is StopCode.UNAVAILABLE
