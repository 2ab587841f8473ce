"""What earlier runs delivered, so that a run again sends only what is new: files, lease, comparison."""
