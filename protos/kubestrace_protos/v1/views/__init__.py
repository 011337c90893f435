"""The views: the request and the result of each. Made from the .proto files by scripts/protos."""
