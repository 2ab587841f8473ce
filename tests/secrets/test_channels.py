"""A recognisable key and a recognisable email, and everything that Spark, Python or this package writes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator

KEY = "pk_live_recognisable_key_123456789abcdef"
WRONG_KEY = "pk_wrong_but_recognisable_key_0000000"
EMAILS = ("recognisable.person@example.com", "recognisable.person(at)example.com")
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Spilled:
    """What one session wrote: the channel's name and its bytes."""

    folder: Path

    def channel(self, name: str) -> bytes:
        """The bytes of a file, or of all files below a directory."""
        path = self.folder / name
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        return b"\n".join(file.read_bytes() for file in files)


@pytest.fixture(scope="module")
def spilled(tmp_path_factory: pytest.TempPathFactory) -> Spilled:
    folder = tmp_path_factory.mktemp("spilled")
    with KlaviyoSimulator(job_polls=0, api_keys=[KEY]) as klaviyo:
        command = [sys.executable, "-m", "tests.secrets.spill", klaviyo.url, str(folder)]
        environment = {**os.environ, "KLAVIYO_API_KEY": KEY}
        with (folder / "out.txt").open("wb") as out, (folder / "err.txt").open("wb") as err:
            done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=out, stderr=err, timeout=280)
        assert done.returncode == 0, (folder / "err.txt").read_text()[-3000:]
        assert {request.headers.get("authorization") for request in klaviyo.requests} >= {f"Klaviyo-API-Key {KEY}"}
        assert any(profile["email"] == EMAILS[0] for profile in klaviyo.profiles)
    return Spilled(folder)


# The channel, a word that shows it was recorded at all, and whether it may hold emails.
CHANNELS = [
    (
        "out.txt",
        b"--- stream, wrong key",
        False,
    ),  # reports, receipts, HTML, exceptions of every entry point, plans, explain
    ("err.txt", b"DEBUG", False),  # logs of driver and workers
    ("events", b"SparkListenerSQLExecutionStart", False),
    ("rest.txt", b"/environment/", False),
    ("processes.txt", b"tests.secrets.spill", False),
    ("receipts", b"PAR1", False),
    ("state", b"PAR1", False),
    ("check stream", b"", False),
    ("preview.txt", b"bulk_import", True),
]


@pytest.mark.parametrize(("name", "proof", "emails"), CHANNELS, ids=[channel[0] for channel in CHANNELS])
def test_neither_key_nor_email_is_written(spilled: Spilled, name: str, proof: bytes, emails: bool) -> None:
    content = spilled.channel(name)
    assert content
    assert proof in content
    for secret in (KEY, WRONG_KEY, KEY[8:], WRONG_KEY[8:]):
        assert secret.encode() not in content
    assert emails or not any(email.encode() in content for email in EMAILS)


def test_every_entry_point_was_used_as_meant(spilled: Spilled) -> None:
    out = spilled.channel("out.txt").decode()
    attempts = {part.partition("\n")[0]: part for part in out.split("--- ")[1:]}
    assert "2 delivered" in attempts["function"]
    assert "RowsRejected" in attempts["function, rows rejected"]
    assert "refuses this key" in attempts["function, wrong key"]
    assert "refuses this key" in attempts["partition, wrong key"]
    assert "refuses this key" in attempts["stream, wrong key"]
    assert "SchemaError" in attempts["function, bad schema"]
    assert "OptionError" in attempts["manual, key in url"]
