"""The status document. Pure."""
