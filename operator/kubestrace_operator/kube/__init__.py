"""The Kubernetes API: kopf's handlers, the API client and the status writer."""
