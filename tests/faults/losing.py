"""Folders that are lost while rows are sent."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spark_klaviyo.simulator import KlaviyoSimulator


@contextmanager
def lost_while_sending(klaviyo: KlaviyoSimulator, places: Callable[[], list[Path]]) -> Iterator[None]:
    """After the third request these folders become files, so that nothing can be written there any more."""

    def watch() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and sum(request.method == "POST" for request in klaviyo.requests) < 3:
            time.sleep(0.005)
        for place in places():
            shutil.rmtree(place, ignore_errors=True)
            place.write_text("a file")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    thread.join()
