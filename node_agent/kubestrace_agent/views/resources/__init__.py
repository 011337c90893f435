"""What cgroups and PSI count by themselves: files, their readings, and the collector. Every session has it."""
