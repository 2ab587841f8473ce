"""Sends one HTTP request, returns one plain reply, and decides what a reply means.

Knows no DataFrame and no options. The facts come from Klaviyo's documentation and from recorded replies.
"""
