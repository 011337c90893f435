"""The tracer: counters of traced containers, read from the maps."""
