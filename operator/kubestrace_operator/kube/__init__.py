"""The Kubernetes API: kopf's handlers, requests, watches, the pod cache, the status writer, events and health."""
