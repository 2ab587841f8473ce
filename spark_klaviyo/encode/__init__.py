"""Columns in, JSON records out: one encoder for every way to write."""
