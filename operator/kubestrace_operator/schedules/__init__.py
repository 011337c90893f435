"""TraceSchedules: sessions made at times and after events of pods."""
