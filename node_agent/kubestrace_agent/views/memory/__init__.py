"""The view memory: its BPF programs, the module that reads them, and its collector."""
