"""The gRPC server: a thin shell around one `Database`."""
