"""`python -m tests.bench` runs every benchmark and stores the tables that `tests.docs` copies into README.md.

`python -m tests.bench speed|wide|small|state|shapes|quota [--help]` runs one of them, and stores its table with
`--store`. `consent` shows what it costs to read who has opted out, and stores nothing.
"""

from __future__ import annotations

import importlib
import sys

from tests.bench.stored import NAMES

COMMANDS = (*NAMES, "consent")
if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python -m tests.bench [{'|'.join(COMMANDS)}] [--help]")
    asked = [(sys.argv[1], sys.argv[2:])] if len(sys.argv) > 1 else [(name, ["--store"]) for name in NAMES]
    sys.exit(max(importlib.import_module(f"tests.bench.{name}").main(given) for name, given in asked))
