"""The view locks: its BPF program, the module that reads its maps, and its collector."""
