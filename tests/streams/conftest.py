"""What the tests of streams share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator() as simulator:
        yield simulator
