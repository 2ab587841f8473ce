"""Everything that asks before a write: checks, previews, names looked up. Nothing here writes unless told to."""
