"""The BPF maps that the counting uses."""
