"""What each node can trace, as a ConfigMap: kubectl shows it without a shell."""
