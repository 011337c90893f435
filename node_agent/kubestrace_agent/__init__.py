"""kubestrace's node service: counts system calls in the kernel and answers the operator."""
