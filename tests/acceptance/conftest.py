"""A local Klaviyo for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    """Klaviyo as it is: v1 and v2 retired."""
    with KlaviyoSimulator() as simulator:
        yield simulator


@pytest.fixture
def old_klaviyo() -> Iterator[KlaviyoSimulator]:
    """Klaviyo as it was while v1 and v2 lived."""
    with KlaviyoSimulator(legacy="alive", api_keys=["pk_test_0123456789abcdef"]) as simulator:
        yield simulator
