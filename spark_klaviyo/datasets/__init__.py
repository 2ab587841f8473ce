"""Rejects, receipts and runs: their columns, and how they are written and read."""
