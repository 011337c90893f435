"""Bounds of TimelineRequest."""

# With 200 busy containers a snapshot takes 0.26 s of CPU.
MAX_BUCKETS = 240
MIN_BUCKET_MILLISECONDS = 100
