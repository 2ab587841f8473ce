"""The options that users give: one table, readers for each value, one error with all complaints."""
