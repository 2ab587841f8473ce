"""Profiles, their lists and their consent."""
