"""The Kubernetes API: requests, watches, the pod cache, the status writer, events and health."""
