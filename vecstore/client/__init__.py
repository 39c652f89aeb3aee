"""The SDK: the same methods on a local directory, in memory and over gRPC, sync and async."""
