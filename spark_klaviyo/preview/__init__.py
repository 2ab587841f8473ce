"""preview_klaviyo: what a write would send, without sending."""
