"""What became of a write: counts, warnings, the sentence, progress."""
