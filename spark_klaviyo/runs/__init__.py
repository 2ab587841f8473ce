"""One write: opens what it needs, sends in tasks, follows jobs, writes its outputs and makes its report.

Imports inside go down only: `spark` and `outputs` below `follow`, all three below the modules of this folder.
"""
