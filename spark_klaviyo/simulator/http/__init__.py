"""The way of a request: from its bytes over limits and keys to an endpoint, and its reply."""
