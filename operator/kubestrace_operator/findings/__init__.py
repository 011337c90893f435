"""What is wrong, why, and what to do: rules over the merged result. Pure."""
