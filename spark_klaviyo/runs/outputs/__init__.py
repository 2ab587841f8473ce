"""What a run leaves behind: result rows of its tasks, datasets of rejects, receipts and runs, and its report."""
