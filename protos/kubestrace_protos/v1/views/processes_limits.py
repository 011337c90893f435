"""Bounds of ProcessesRequest."""

MAX_TOP = 100
