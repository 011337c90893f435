"""Bounds of ProcessesRequest."""

MAX_TOP = 100
MAX_THREADS = 100
