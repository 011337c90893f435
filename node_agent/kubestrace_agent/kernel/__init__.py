"""What speaks to the kernel: BPF programs, their maps, and the Tracer on top."""
