"""Local mode: trace a command, a process or a container without a cluster."""
