"""list_mode=mirror: the list becomes exactly the DataFrame."""
