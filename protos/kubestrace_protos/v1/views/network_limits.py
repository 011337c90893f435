"""Bounds of the view network."""

MAX_TOP = 100
