"""Durable bytes: the KV and Blobs interfaces, RocksDB and memory behind them, formats and checksums. No policy."""
