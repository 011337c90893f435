"""The view slow_calls: its BPF programs, the module that reads its maps, and its collector."""
