"""The v1 and v2 paths, retired in 2024."""
