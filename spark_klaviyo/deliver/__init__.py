"""From batches to receipts and rejections."""
