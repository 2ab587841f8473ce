"""What outlives a run: rejected rows, receipts and runs as datasets, on any file system."""
