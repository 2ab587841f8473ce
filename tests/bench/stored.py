"""What a bench found, kept beside it as Markdown: the README quotes these files, and `tests.docs` puts them there."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).with_name("results")
NAMES = ("speed", "shapes", "quota")


def store(name: str, text: str) -> None:
    """Keep the table of a bench."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text.rstrip() + "\n", encoding="utf-8")


def stored() -> str:
    """All tables that are kept, each with the sentence above it."""
    files = [RESULTS / f"{name}.md" for name in NAMES]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())
