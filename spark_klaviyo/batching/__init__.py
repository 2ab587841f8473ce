"""Encoded rows in, one batch for each request out. Knows neither HTTP nor Spark."""
