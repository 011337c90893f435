"""Bounds of FilesRequest."""

MAX_PATTERNS = 20
MAX_PATTERN_CHARACTERS = 256
