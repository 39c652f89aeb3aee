"""The threads that calls run in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

READ_THREADS = 8  # of the pool for calls that read or manage; the kernels have their own
WRITE_THREADS = 4  # convert and check writes, and wait while too much is queued; apart, so that reads go on meanwhile
QUERY_THREADS = 2  # each runs one coalesced batch, which itself uses every core


class Pools:
    """The threads that calls run in."""

    def __init__(self) -> None:
        self.reads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="vecstore-read")
        self.writes = ThreadPoolExecutor(WRITE_THREADS, thread_name_prefix="vecstore-write")
        self.queries = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="vecstore-query")

    def shutdown(self) -> None:
        """Waits for work that has begun; what is still queued is dropped."""
        for pool in (self.reads, self.writes, self.queries):
            pool.shutdown(cancel_futures=True)
