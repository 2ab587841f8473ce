"""Benchmarks: commands of their own, never part of the tests. `python -m tests.bench speed|quota`."""
