"""Reports of agents, merged. Pure."""
