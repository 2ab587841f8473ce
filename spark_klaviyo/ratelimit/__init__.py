"""Keeps requests within the account's rate limits, in one task or across all tasks of a run.

Knows HTTP replies, but no rows and no templates. The facts come from Klaviyo's documentation and from the
`RateLimit-*` headers of its replies.
"""
