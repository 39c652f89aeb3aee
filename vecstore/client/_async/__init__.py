"""The facade and the gRPC transport for asyncio. Edit here: `_sync` is made from these files by `unasync.py`."""
