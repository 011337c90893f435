"""Containers: from a container's ID to its cgroup and its first process."""
