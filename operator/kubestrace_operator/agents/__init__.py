"""The node agents: where they are, and the gRPC client."""
