"""check_klaviyo: checks address, key, ids and scopes before a write."""
