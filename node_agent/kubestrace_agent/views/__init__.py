"""What a session may collect beside the counts, as the wire carries it: a Collector for each view."""
