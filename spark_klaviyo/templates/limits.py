"""The quotas, sizes and counts that Klaviyo publishes."""

from __future__ import annotations

from spark_klaviyo.core.policy import Limits, Quota

# The tiers of Klaviyo's fixed windows: requests per second and per minute (docs: rate limits; L is 750 since 2026-04).
XS = Quota(((1, 1.0), (15, 60.0)))
S = Quota(((3, 1.0), (60, 60.0)))
M = Quota(((10, 1.0), (150, 60.0)))
M_DAILY = Quota(((10, 1.0), (150, 60.0), (150, 86_400.0)))
BULK_RECORDS = Quota(((3, 1.0), (15, 60.0)))
L = Quota(((75, 1.0), (750, 60.0)))
XL = Quota(((350, 1.0), (3500, 60.0)))

MEGABYTE = 1_000_000  # Klaviyo prints MB without saying which; decimal is the safe reading
KILOBYTE = 1_000
MAX_BODY = 5 * MEGABYTE  # endpoints without a published size: the largest size published anywhere
ONE_ROW = Limits(1, MAX_BODY)
# No maximum is published for the ids of one relationship call; this is what other endpoints of the kind take at least.
SOME_IDS = Limits(100, MAX_BODY)
NO_MAXIMUM = "Klaviyo publishes no maximum for this call; 100 ids go into one request."
# docs, data limits of ingestion; never withdrawn
MAX_DEPTH, MAX_ITEMS = 10, 4_000
