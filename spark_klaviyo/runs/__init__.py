"""One write: opens what it needs, sends in tasks, follows jobs, writes its outputs and makes its report."""
