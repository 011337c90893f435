"""Sessions: the controller, and one session from its first event to its final status."""
