"""A service of its own for a benchmark: `autotune serve` in a folder, with its token, and what it uses."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S = 30.0
KEPT_S = 10.0


@dataclass(frozen=True)
class HttpAnswer:
    """What was answered to one request, and how long it took.

    Attributes:
        sent_bytes: of the body, as it was sent.
    """

    status: int
    body: bytes
    sent_bytes: int
    seconds: float

    def json(self) -> Any:
        """Read it as JSON."""
        return json.loads(self.body)


class ServiceProcess:
    """A running service."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.pid = process.pid
        self.url = f"http://127.0.0.1:{port}"
        self.store = f"sqlite:///{folder}/autotune.db"
        self.token_file = folder / "state" / "token"
        self._port = port
        self._connection: http.client.HTTPConnection | None = None
        self._asked_s = 0.0

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Ask once, on a connection that is kept, unless the service may have closed it meanwhile."""
        if time.monotonic() - self._asked_s > KEPT_S:
            self.disconnect()
        self._asked_s = time.monotonic()
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        sent = None if body is None else json.dumps(body)
        all_headers = {
            "Authorization": f"Bearer {self.token()}",
            "Accept-Encoding": "gzip",
            **(headers or {}),
        }
        if sent is not None:
            all_headers["Content-Type"] = "application/json"
        start_s = time.perf_counter()
        self._connection.request(method, path, sent, all_headers)
        response = self._connection.getresponse()
        text = response.read()
        seconds = time.perf_counter() - start_s
        plain = gzip.decompress(text) if response.headers.get("Content-Encoding") == "gzip" else text
        return HttpAnswer(response.status, plain, len(text), seconds)

    def follow(self, path: str) -> Iterator[tuple[str, str]]:
        """Give a stream's events as they come, each with its tag, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token()}"})
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"{path} is answered with {response.status}: {response.read()!r}")
            tag = ""
            while line := response.readline().decode():
                name, _, value = line.partition(":")
                if name == "event":
                    tag = value.strip()
                elif name == "data":
                    yield tag, value.strip()
        finally:
            connection.close()

    def token(self) -> str:
        """Give the operator's token."""
        return self.token_file.read_text().strip()

    def memory_bytes(self) -> int:
        """Give the memory that the process has resident."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the kernel does not say what is resident")

    def cpu_s(self) -> float:
        """Give the processor time that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def disconnect(self) -> None:
        """Close the connection that is kept."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def running(folder: Path, *options: str) -> Iterator[ServiceProcess]:
    """Start a service in a folder, on the store `autotune.db` there; stop it and its job in the end."""
    port = free_port()
    argv = [sys.executable, "-P", "-m", "autotune", "serve", "--stop-jobs", "--port", str(port)]
    argv += ["--store", f"sqlite:///{folder}/autotune.db", "--state", str(folder / "state"), *options]
    with (
        (folder / "service.log").open("wb") as log,
        subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log) as process,
    ):
        service = ServiceProcess(process, port, folder)
        try:
            wait_until_ready(service, process, folder)
            yield service
        finally:
            service.disconnect()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_ready(service: ServiceProcess, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until the service answers."""
    until_s = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if service.request("GET", "/health/ready").status == 200:
                return
        service.disconnect()
        if process.poll() is not None or time.monotonic() > until_s:
            raise RuntimeError(f"the service does not start:\n{(folder / 'service.log').read_text()}")
        time.sleep(0.02)


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
