"""The `kubestrace` command."""
