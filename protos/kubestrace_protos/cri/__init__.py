"""The part of the container runtime's interface (CRI) that the agent uses."""
