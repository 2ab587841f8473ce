"""change_column: inserts and updates are sent with the template, deletes with the one that undoes it."""
