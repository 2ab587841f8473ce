"""What `preview` and `write` read: CSV as RFC 4180 has it, and the reader's options."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_klaviyo.cli.main import main
from spark_klaviyo.simulator import KlaviyoSimulator

HEAD = "\ufeffemail,note,properties,zip\r\n"
ROWS = 'ann@example.com,"a ""b"" c, d","{""plan"": ""a""}",02134\r\nbob@example.com,"two\r\nlines",,"90210"\r\n'


def write(klaviyo: KlaviyoSimulator, path: Path, *more: str) -> int:
    options = {"template": "bulk_import_profiles", "base_url": klaviyo.url}
    named = [f"--option={name}={value}" for name, value in options.items()]
    return main(["write", "--input", str(path), "--format", "csv", *more, *named])


def test_csv_is_read_as_rfc_4180(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    (tmp_path / "people.csv").write_text(HEAD + ROWS, encoding="utf-8", newline="")
    (tmp_path / "semicolons.csv").write_text("email;tier\neve@example.com;gold\n", encoding="utf-8")
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        assert write(klaviyo, tmp_path / "people.csv") == 0
        assert write(klaviyo, tmp_path / "semicolons.csv", "--read-option", "sep=;") == 0
        assert write(klaviyo, tmp_path / "people.csv", "--read-option", "header") == 2
        held = {one["email"]: one for one in klaviyo.profiles}
    assert held["ann@example.com"]["properties"] == {"note": 'a "b" c, d', "plan": "a"}
    assert held["ann@example.com"]["location"]["zip"] == "02134"
    assert held["bob@example.com"]["properties"]["note"].splitlines() == ["two", "lines"]
    assert held["eve@example.com"]["properties"] == {"tier": "gold"}
