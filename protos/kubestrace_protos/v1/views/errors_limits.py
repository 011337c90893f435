"""Bounds of ErrorsRequest."""

MAX_SAMPLES = 10
