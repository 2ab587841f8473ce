"""Writes that are more than one send: mirroring a list, change data. `dispatch` chooses."""
