"""A simulated Klaviyo for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    """Today's Klaviyo, which has retired v1 and v2."""
    with KlaviyoSimulator() as simulator:
        yield simulator


@pytest.fixture
def legacy_klaviyo() -> Iterator[KlaviyoSimulator]:
    """Klaviyo with the v1 and v2 calls that it has retired."""
    with KlaviyoSimulator(legacy="alive", api_keys=["pk_test_0123456789abcdef"]) as simulator:
        yield simulator
