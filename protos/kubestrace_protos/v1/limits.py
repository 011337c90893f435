"""Bounds of a trace request, for both sides of the wire. Those of a view stand in views/NAME_limits.py."""

MAX_DURATION_SECONDS = 3600
# Users of io_uring that are named, of a container and in a status.
MAX_RING_USERS = 10
