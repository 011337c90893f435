"""TraceSession files, read as the API server reads them."""
