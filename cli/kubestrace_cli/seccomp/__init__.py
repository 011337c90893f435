"""`kubestrace seccomp`: a seccomp profile of what sessions have seen."""
