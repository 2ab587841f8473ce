"""A stop that the tasks of one job share on their executor, where no code of the run is in the driver to stop them.

The first task that learns that the key is refused tells the others of its executor, through a file in the folder that
Spark keeps for the executor's files and deletes with it. So at most the requests in flight at that moment are refused.
"""

from __future__ import annotations

from contextlib import suppress

from spark_klaviyo.core.clock import Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.runs.session import SparkTask

# Refusals that every task of the job would meet, and that no retry would change.
SHARED = frozenset({StopCode.UNAUTHORIZED, StopCode.FORBIDDEN, StopCode.RETIRED, StopCode.REDIRECTED})


class ExecutorStop(Stop):
    """Set where any task of the same job on this executor has set one for a reason of `SHARED`."""

    def __init__(self, task: SparkTask) -> None:
        super().__init__()
        self._folder = Folder.at(task.executor_folder) if task.executor_folder else None
        # A stage's number is new with every job, so that a later one with a corrected key is not stopped by it.
        self._name = f"klaviyo-stopped-{task.stage_id}.json"
        self.is_set()

    def set(self, code: StopCode, message: str = "") -> None:
        """Stop, and tell the other tasks where that concerns them."""
        super().set(code, message)
        if self._folder is not None and self.code in SHARED:
            with suppress(OSError):  # each task then learns it by itself
                self._folder.write_json(self._name, {"code": self.code, "message": self.message})

    def is_set(self) -> bool:
        """Whether it has been set, here or by another task."""
        if not super().is_set() and self._folder is not None:
            with suppress(OSError):
                found = self._folder.read_json(self._name)
                if found:
                    super().set(StopCode(found["code"]), found["message"])
        return super().is_set()
