"""Every endpoint the simulator serves."""

from __future__ import annotations

from spark_klaviyo.simulator.api import imports, job_reads, lists, profiles
from spark_klaviyo.simulator.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *imports.OPERATIONS,
    *job_reads.OPERATIONS,
    *lists.OPERATIONS,
    *profiles.OPERATIONS,
)
