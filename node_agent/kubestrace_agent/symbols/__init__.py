"""Names of addresses: of a program's functions by its container's own files, which may be hostile."""
