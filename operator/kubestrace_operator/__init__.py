"""The operator: one for a cluster, the only writer of a TraceSession's status."""
