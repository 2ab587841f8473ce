"""One batch in, what became of each of its rows out: sends, retries, isolates refused rows, follows jobs."""
