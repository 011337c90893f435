"""The views: what a session collects beside the counts. Pure."""
