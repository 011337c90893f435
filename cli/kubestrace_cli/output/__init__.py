"""What local mode prints."""
