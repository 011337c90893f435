"""Bounds of CallersRequest."""

# Each stack takes some 10 us of the call that is chosen and a few hundred of the agent.
MIN_PER_SECOND = 10
MAX_PER_SECOND = 1000
