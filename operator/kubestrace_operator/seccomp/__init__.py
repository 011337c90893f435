"""A seccomp profile from what sessions have seen."""
