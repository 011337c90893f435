"""Traces: the sessions that this node counts for."""
