"""Reads from the account: who it is, its lists and their members, ids by name."""
