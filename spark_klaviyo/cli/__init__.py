"""The command line: a room that calls the doors and prints."""

from spark_klaviyo.cli.main import main

__all__ = ["main"]
