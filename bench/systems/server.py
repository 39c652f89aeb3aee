"""A vecstore server of our own as a child process: start it, know when it answers, kill or stop it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """`settings` are environment names without their prefix, such as LIMITS_K_MAX=5."""

    def __init__(self, data: Path, **settings: object) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"grpc://{self.address}"
        self.log = data.parent / "server.log"
        environment = os.environ | {f"VECSTORE_{name}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(data), "--port", str(self.port)]
        self.started = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Return when the health service says SERVING. Raises RuntimeError with the log's tail when it never does."""
        deadline = time.perf_counter() + timeout_s
        request = health_pb2.HealthCheckRequest()
        options = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 20)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while time.perf_counter() < deadline and self.process.poll() is None:
                try:
                    if stub.Check(request, timeout=1.0).status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.RpcError:
                    pass
                time.sleep(0.01)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text(errors='replace')[-2_000:]}")

    def resident_bytes(self) -> int:
        """Of the server and its worker processes."""
        server = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in (server, *server.children(recursive=True)))

    def kill(self) -> None:
        """As a crash would: no chance to clean up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> Self:
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.kill()
