"""Where a batch goes, and what stands around and between its rows."""
