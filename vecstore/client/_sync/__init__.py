"""The facade and the gRPC transport for threads. Made from `_async` by `unasync.py`; do not edit."""
