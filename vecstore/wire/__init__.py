"""Protobuf messages <-> vecstore.types, both ways, for the server and the client alike. Nothing else knows both."""
