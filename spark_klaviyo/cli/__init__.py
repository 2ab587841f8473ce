"""The command line, the demo, and what only they need: a local Spark session, a Java runtime."""
