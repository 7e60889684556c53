"""A real `autotune serve`, and sockets that say to it exactly what a test wants said."""

from __future__ import annotations

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
from typing import Any, TextIO
from urllib.parse import urlsplit

WAIT_S = 60

PROGRAM = (sys.executable, "-c", "from autotune.cli.start import main; main()")


@dataclass(frozen=True)
class Served:
    """A service that runs.

    Attributes:
        link: what it printed.
        folder: its working directory; its state lies in `.autotune` there.
    """

    process: subprocess.Popen[str]
    link: str
    folder: Path

    @property
    def port(self) -> int:
        return urlsplit((self.folder / ".autotune" / "address").read_text(encoding="utf-8").strip()).port or 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.folder / ".autotune" / "token").read_text(encoding="ascii").strip()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answered:
        """Send one request on a connection of its own, with a Host header unless one is given."""
        return answered(
            self.port, request_bytes(method, target, {"Host": self.host, **(headers or {})}, body)
        )

    def add_token(self, name: str, role: str) -> str:
        made = run_autotune("serve", "token", "add", name, "--role", role, folder=self.folder)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def memory_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return 1024 * int(status.split("VmRSS:")[1].split()[0])


@dataclass(frozen=True)
class Answered:
    """What came back on a connection until it was closed, or the answer was whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lengths = {"Content-Length": str(len(body))} if body else {}
    lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in ({**headers, **lengths}).items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answered(port: int, request: bytes, wait_s: float = WAIT_S) -> Answered:
    """Send bytes on a new connection, and read one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        connection.sendall(request)
        return read_answer(connection, head_only=request.startswith(b"HEAD "))


def read_answer(connection: socket.socket, *, head_only: bool = False) -> Answered:
    """Read the head of an answer, and as much body as it announces, unless it answers HEAD."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while not head_only and len(body) < int(headers.get("content-length", 0)):
        body += _more(connection)
    return Answered(int(first.split()[1]), headers, body)


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionError("the connection was closed before the answer was whole")
    return received


def is_closed(connection: socket.socket) -> bool:
    """Wait for the other side to close; whatever else comes is dropped."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return True


def run_autotune(
    *words: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env={**os.environ, **(environment or {})},
    )


@contextmanager
def serving(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Start a service in a folder, on a free port, and end it."""
    log = (folder / "service.log").open("w", encoding="utf-8")
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    yield from _while_running(process, folder, log)


@contextmanager
def impatient(folder: Path, settings: str) -> Iterator[Served]:
    """Start a service whose settings no option of the command sets; they are keywords in Python."""
    program = (
        "from pathlib import Path\n"
        "from autotune.service.running import run_service\n"
        "from autotune.service.settings import ServiceSettings, TimeLimits\n"
        f"run_service(ServiceSettings(port=0, {settings}), log_format='json',\n"
        "            on_ready=lambda link: print(link, flush=True))\n"
    )
    log = (folder / "service.log").open("w", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
    )
    yield from _while_running(process, folder, log)


def _while_running(process: subprocess.Popen[str], folder: Path, log: TextIO) -> Iterator[Served]:
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link, (folder / "service.log").read_text(encoding="utf-8")
        yield Served(process, link, folder)
    finally:
        stop(process)
        log.close()


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM, within_s: float = WAIT_S) -> int:
    """Send a signal, and give the exit status."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(within_s)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(WAIT_S)
        if process.stdout is not None:
            process.stdout.close()


def until(true: Any, wait_s: float = WAIT_S) -> bool:
    """Wait until a function says so."""
    end_s = time.monotonic() + wait_s
    while not true():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True
