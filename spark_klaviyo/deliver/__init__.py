"""Sends batches and says what became of each row: retries, isolates refused rows, polls jobs, reads documents.

Knows no DataFrame and no options. What replies mean is decided in `http.judge`; endpoints are described in `templates`.
"""
