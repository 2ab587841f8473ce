"""What a write has to say at its end, and while it runs: counts, sentence, page, bar."""
