"""check_klaviyo: the Test button. Reads, and writes nothing."""
