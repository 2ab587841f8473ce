"""The ways in: each reads its options, runs the one pipeline, and keeps or refuses every promise."""
