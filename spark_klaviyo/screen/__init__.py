"""Which encoded rows may be sent: a check in columns, and an exact check of the rows that fail it."""
