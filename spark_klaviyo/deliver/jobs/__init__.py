"""Polls the asynchronous jobs that Klaviyo accepted, and reads what they say about their rows."""
