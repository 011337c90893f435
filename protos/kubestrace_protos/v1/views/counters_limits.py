"""The names of CountersRequest's events: perf_event_open(2)'s of hardware, in the order of their numbers there."""

EVENTS = ("cycles", "instructions", "cache-references", "cache-misses", "branches", "branch-misses")
