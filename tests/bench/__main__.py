"""`python -m tests.bench` runs every benchmark and stores the tables that `tests.docs` copies into README.md.

`python -m tests.bench speed|wide|small|state|stream|shapes|quota [--help]` runs one of them, and stores its table with
`--store`. `consent` shows what it costs to read who has opted out, and `--profile` where the CPU of a write goes, by
stage; both store nothing.
"""

from __future__ import annotations

import importlib
import sys

from tests.bench.stored import NAMES

COMMANDS = (*NAMES, "consent")
FILES = {"--profile": "stages"}
if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] not in (*COMMANDS, *FILES):
        sys.exit(f"usage: python -m tests.bench [{'|'.join((*COMMANDS, *FILES))}] [--help]")
    asked = [(sys.argv[1], sys.argv[2:])] if len(sys.argv) > 1 else [(name, ["--store"]) for name in NAMES]
    sys.exit(max(importlib.import_module(f"tests.bench.{FILES.get(name, name)}").main(given) for name, given in asked))
