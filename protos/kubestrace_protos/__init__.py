"""What the programs say to each other: protobuf messages and the stubs made from them."""
