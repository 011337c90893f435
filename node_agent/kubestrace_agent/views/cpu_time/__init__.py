"""The view cpu_time: its BPF programs, the module that reads its maps, and its collector."""
