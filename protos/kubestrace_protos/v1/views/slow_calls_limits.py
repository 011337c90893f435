"""Bounds of SlowCallsRequest."""

# The programs in the kernel hand on no shorter call.
MIN_THRESHOLD_MILLISECONDS = 1
MAX_THRESHOLD_MILLISECONDS = 60_000
MAX_LIMIT = 200
