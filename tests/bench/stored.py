"""Benchmark results, stored as Markdown in `results`. `tests.docs` copies them into README.md."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).with_name("results")
NAMES = ("speed", "wide", "small", "state", "stream", "shapes", "quota")


def store(name: str, text: str) -> None:
    """Store the table of a benchmark."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text.rstrip() + "\n", encoding="utf-8")


def stored() -> str:
    """All stored tables, each with the paragraph above it."""
    files = [RESULTS / f"{name}.md" for name in NAMES]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())
