"""Quotas and what is left of them, read from the headers of replies."""

from __future__ import annotations

import pytest

from spark_klaviyo.core.policy import Quota
from spark_klaviyo.http.headers import WindowStatus, listed_quota, window_status


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("10, 10;w=1, 150;w=60", ((10, 1.0), (150, 60.0))),
        ("700, 75;w=1, 700;w=60", ((75, 1.0), (700, 60.0))),
        ("10, 10;w=1, 150;w=60, 150;w=86400", ((10, 1.0), (150, 60.0), (150, 86400.0))),
        ("150;w=60,10;w=1", ((10, 1.0), (150, 60.0))),
    ],
)
def test_every_window_that_the_header_lists_is_read(text: str, windows: tuple[tuple[int, float], ...]) -> None:
    assert listed_quota({"ratelimit-limit": text}) == Quota(windows)


@pytest.mark.parametrize("text", ["", "10", "ten, 10;x=1", "0;w=1", "10;w=0"])
def test_a_header_without_windows_lists_no_quota(text: str) -> None:
    assert listed_quota({"ratelimit-limit": text}) is None


def test_remaining_and_reset_describe_the_window_that_comes_first() -> None:
    headers = {"ratelimit-limit": "700, 75;w=1, 700;w=60", "ratelimit-remaining": "699", "ratelimit-reset": "10"}
    assert window_status(headers) == WindowStatus(700, 699, 10.0)
    assert window_status({**headers, "ratelimit-remaining": "many"}) is None
    assert window_status({}) is None
