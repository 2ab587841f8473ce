"""change_column: inserts and updates go one way, deletes another."""
