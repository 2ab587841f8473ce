"""The type table as the README prints it."""

from __future__ import annotations

from spark_klaviyo.plan.types import TYPE_TABLE


def markdown_types() -> str:
    """One row for each Spark type."""
    lines = ["| Spark type | is sent as | example |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {sent} | {f'`{example}`' if example else ''} |" for name, (sent, example) in TYPE_TABLE.items()
    ]
    return "\n".join([*lines, "| intervals, variant, time and the like | refused: cast them to string | |"])
