"""The TraceSession resource: its spec and its conditions."""
