"""Compile, load and attach the BPF programs."""
