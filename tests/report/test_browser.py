"""The pages in a real browser, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spark_klaviyo.report.pages.check import CheckResult
from spark_klaviyo.report.pages.page import Page
from spark_klaviyo.report.pages.preview import Preview
from spark_klaviyo.report.report import WriteReport

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
# Records what the page has requested once it is loaded, and whether it is wider than the window.
PROBE = """<script>addEventListener("load",()=>{const requested=performance.getEntriesByType("resource").length;
const wide=document.documentElement.scrollWidth>innerWidth;
const ink=getComputedStyle(document.querySelector(".sk")).color;
document.body.dataset.probe=`requested ${requested} wide ${wide} ink ${ink}`})
</script></body>"""
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage")  # fmt: skip


def dump(page: Path, profile: Path, *flags: str) -> str:
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", *flags, "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


INK = {0: "232, 237, 243", 1: "22, 32, 44"}  # of the dark scheme, of the light one


def in_a_browser(shown: Page, folder: Path, scheme: int, width: int) -> str:
    """The page as rendered in a window of this width; it has requested nothing and is not wider than the window."""
    page = folder / "page.html"
    page.write_text(shown.to_html().replace("</body>", PROBE), encoding="utf-8")
    flags = (f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},900")
    dom = dump(page, folder / "profile", *flags)
    shutil.rmtree(folder / "profile", ignore_errors=True)
    assert re.search(r'data-probe="([^"]*)"', dom)[1] == f"requested 0 wide false ink rgb({INK[scheme]})"  # type: ignore[index]
    return dom


@pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")
@pytest.mark.parametrize(("scheme", "width"), [(0, 1100), (1, 1100), (1, 500)])
def test_a_browser_shows_the_report_whole_requests_nothing_and_need_not_scroll_sideways(
    report: WriteReport, tmp_path: Path, scheme: int, width: int
) -> None:
    dom = in_a_browser(report, tmp_path, scheme, width)
    for shown in ("389,530", "388,000", "bad_email", "no_identifier", "Too Many Requests", "<svg"):
        assert shown in dom


@pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")
@pytest.mark.parametrize(("scheme", "width"), [(0, 500), (1, 1100)])
def test_a_browser_shows_a_preview_and_a_check_whole(
    preview: Preview, checked: CheckResult, tmp_path: Path, scheme: int, width: int
) -> None:
    dom = in_a_browser(preview, tmp_path, scheme, width)
    for shown in ("12,400,000", "did you mean email?", "ann@ is no address", "Klaviyo-API-Key ***", "<details open"):
        assert shown in dom
    dom = in_a_browser(checked, tmp_path, scheme, width)
    for shown in ("Not ready: list", "Klaviyo knows it", "<code>spark-klaviyo lists</code>", "not checked"):
        assert shown in dom
