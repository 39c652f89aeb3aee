"""The engine: database, collections, segments, write path, read path, maintenance. Knows nothing of gRPC or REST."""
