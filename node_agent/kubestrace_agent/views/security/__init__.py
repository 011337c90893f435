"""The view security: its BPF programs, the module that reads its maps, and its collector."""
