"""The values, codes, clock, stop signal and secrets that every other folder uses. Knows no other folder."""
