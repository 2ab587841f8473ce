"""A task whose state outgrows the disk, in a process of its own: files of more than 4,000 bytes cannot be written.

`python -m tests.faults.full_disk STATE` prints what the report says as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from spark_klaviyo.simulator import KlaviyoSimulator
from spark_klaviyo.task.run import SendContextFactory, run_task
from tests.state.recorded import compared, locked, plan_with_state, state_at
from tests.task.running import Ran, people


def main(state: Path) -> None:
    ran = Ran()
    with KlaviyoSimulator(job_polls=0) as klaviyo, locked(state_at(state, stale_seconds=15.0)):
        plan = plan_with_state(klaviyo, state_at(state, stale_seconds=15.0), ("email", "first_name"), max_rows=300)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
        with SendContextFactory().open(plan, 0, 0) as context:
            for event in run_task(plan, compared(plan, people(1_500), encoded_rows=300), context):
                ran.add(event)
        report = ran.report
        found = {name: getattr(report, name) for name in ("accepted", "unsent", "rows", "stopped", "warnings")}
        sys.stdout.write(json.dumps({**found, "adds_up": report.adds_up(), "arrived": len(klaviyo.profiles)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
