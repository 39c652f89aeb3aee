"""The real server as a child process that a test may kill at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from vecstore.cli.serve import READY


class ServerProcess:
    """`vecstore serve` on a free port. `settings` are names of the environment without VECSTORE_."""

    def __init__(self, data: Path, **settings: object) -> None:
        settings = {"SERVER_DRAIN_S": 100, **settings}  # a busy machine takes its time
        environment = os.environ | {f"VECSTORE_{name}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(data), "--port", "0"]
        self._log = data.with_name(data.name + ".log")
        self.started = time.perf_counter()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        self.address = ""

    def wait_ready(self, timeout_s: float = 200.0) -> None:
        """Returns when the health service answers SERVING."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(READY), f"the server said {line!r}\n{self._log.read_text()[-4000:]}"
        self.address = line.rsplit("grpc://")[-1].strip()
        with grpc.insecure_channel(self.address) as channel:
            request = health_pb2.HealthCheckRequest()
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s, wait_for_ready=True)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        try:
            self.wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(200) == 0, self._log.read_text()[-4000:]
        self._end()

    def _end(self) -> None:
        if self.process.poll() is None:
            self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
