"""`python -m tests.bench speed|quota`: runs a benchmark and prints its table."""

from __future__ import annotations

import importlib
import sys

BENCHES = ("speed", "quota")

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        sys.exit(f"usage: python -m tests.bench {'|'.join(BENCHES)} [--help]")
    sys.exit(importlib.import_module(f"tests.bench.{sys.argv[1]}").main(sys.argv[2:]))
