"""What the kernel may tell beside the counts: each view by programs and maps of its own."""
