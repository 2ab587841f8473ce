"""Keeps to the account's quota, in one task or across all tasks of a run. Knows no row and no template."""
