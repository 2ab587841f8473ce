"""One HTTP request out, one plain reply in, and what a reply means. Knows no row and no DataFrame."""
