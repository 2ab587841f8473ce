"""The pages in a real browser, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spark_klaviyo.report.report import WriteReport

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
# What the page would ask of the network, told by itself once it stands, and whether it is wider than the window.
PROBE = """<script>addEventListener("load",()=>{const asked=performance.getEntriesByType("resource").length;
const wide=document.documentElement.scrollWidth>innerWidth;
document.body.dataset.probe=`asked ${asked} wide ${wide} ink ${getComputedStyle(document.querySelector(".sk")).color}`})
</script></body>"""
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage")  # fmt: skip


def opened(page: Path, room: Path, *flags: str) -> str:
    command = [BROWSER, *QUIET, f"--user-data-dir={room}", *flags, "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")
@pytest.mark.parametrize(
    ("scheme", "width", "ink"), [(0, 1100, "232, 237, 243"), (1, 1100, "22, 32, 44"), (1, 500, "22, 32, 44")]
)
def test_a_browser_shows_the_report_whole_asks_for_nothing_and_need_not_scroll_aside(
    report: WriteReport, tmp_path: Path, scheme: int, width: int, ink: str
) -> None:
    page = tmp_path / "report.html"
    page.write_text(report.to_html().replace("</body>", PROBE), encoding="utf-8")
    flags = (f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},900")
    dom = opened(page, tmp_path / "profile", *flags)
    for shown in ("389,530", "388,000", "bad_email", "no_identifier", "Too Many Requests", "<svg"):
        assert shown in dom
    assert re.search(r'data-probe="([^"]*)"', dom)[1] == f"asked 0 wide false ink rgb({ink})"  # type: ignore[index]
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)
