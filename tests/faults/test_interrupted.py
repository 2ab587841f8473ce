"""Ctrl-C while requests hang: the report comes all the same, and says which rows may have arrived."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from spark_klaviyo import WriteStopped, write_klaviyo
from tests.http.loopback_server import Loopback, Received, reply, silent_after

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KEY = "pk_test_0123456789abcdef"


@pytest.mark.parametrize("way", ["executors", "driver"])
@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{"], ids=["silent", "begun"]
)
def test_an_interruption_while_a_request_hangs_keeps_the_report(spark: SparkSession, way: str, begun: bytes) -> None:
    arrived = threading.Event()

    def hang(connection: socket.socket, received: Received) -> bool:
        if received.method == "GET":  # the account's name
            return reply(403, b'{"errors":[{"code":"permission_denied"}]}')(connection, received)
        arrived.set()
        return silent_after(begun)(connection, received)

    def interrupt() -> None:
        arrived.wait(60.0)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    df = spark.range(0, 40, 1, 2).selectExpr("concat('p', id, '@example.com') AS email")
    options: dict[str, Any] = {"template": "bulk_import_profiles", "api_key": KEY, "max_rows": 5, "send_from": way}
    threading.Thread(target=interrupt, daemon=True).start()
    with Loopback([hang]) as server:
        began = time.monotonic()
        with pytest.raises(WriteStopped, match="interrupted") as caught:
            write_klaviyo(df, base_url=server.url, timeout_seconds=120, **options)
        seconds = time.monotonic() - began
        sent = sum(received.method == "POST" for received in server.received)
    report: Any = caught.value.report
    assert report is not None
    assert report.stopped[0] == "interrupted"
    assert seconds < 30  # most of it Spark's
    assert (report.delivered, report.accepted) == (0, 0)
    assert dict(report.reasons) == {"in_doubt": 5 * sent}
    assert report.unsent == report.rows - 5 * sent
