"""A result beside that of an earlier session: what changed, and how sure that is. Pure."""
