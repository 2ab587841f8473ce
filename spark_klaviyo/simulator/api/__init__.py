"""The endpoints, a file a family: each ends in its table of operations."""
