"""Options: one table, the readers of their values, and keys that cannot be printed."""
