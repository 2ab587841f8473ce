"""Benchmarks, run by `python -m tests.bench`; never part of the test suite."""
