"""Klaviyo's asynchronous jobs: polled to their end, with the rows that they refused."""
