"""CRI runtime.v1."""
