"""Clients of a service: many streams of events, and reads at a rate; prints what they saw once terminated.

    python -m studies.benchmarks.service_load URL TOKEN_FILE [--streams 100] [--rate 200] [--cpus 0]
        [--job ID] [PATH ...]

Prints `ready` once every stream is answered. SIGTERM ends it with one line of JSON. The reads take turns on
ten connections that are kept alive. How long one took counts from when it was due.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

from autotune.machine.cpus import parse_cpu_list

CONNECTIONS = 10
PATHS = ("/api/v1/jobs?limit=20", "/api/v1/queue", "/api/v1/jobs?state=running", "/health/ready")
LIMIT = 2**24
"""The longest line that is read."""


@dataclass
class Seen:
    """What the clients saw.

    Attributes:
        statuses: how many reads were answered with each.
        seconds: how long each read took from when it was due.
        events: how many came, over all streams.
        ended: streams that are not open any more; refused: those that never were.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    events: int = 0
    ended: int = 0
    refused: Counter[int] = field(default_factory=Counter)

    def document(self) -> dict[str, object]:
        """Give it as JSON has it."""
        ordered = sorted(self.seconds)
        return {
            "statuses": dict(self.statuses),
            "median_s": ordered[len(ordered) // 2] if ordered else None,
            "p99_s": ordered[int(len(ordered) * 0.99)] if ordered else None,
            "events": self.events,
            "ended": self.ended,
            "refused": dict(self.refused),
        }


class Clients:
    """All clients of one service."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self.seen = Seen()

    async def listen(self, path: str, opened: asyncio.Event) -> None:
        """Read one stream of events until it ends."""
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=LIMIT)
        try:
            writer.write(self._request(path, "text/event-stream"))
            status, _ = await _answer_head(reader)
            opened.set()
            if status != 200:
                self.seen.refused[status] += 1
                return
            while line := await reader.readline():
                self.seen.events += line.startswith(b"data:")
            self.seen.ended += 1
        finally:
            opened.set()
            writer.close()

    async def request(self, paths: Iterator[str], every_s: float, phase_s: float) -> None:
        """Read one path after the other on one connection, each when it is due."""
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=LIMIT)
        due_s = time.monotonic() + phase_s
        try:
            while True:
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                writer.write(self._request(next(paths), "application/json"))
                status, length = await _answer_head(reader)
                await _answer_body(reader, length)
                self.seen.statuses[status] += 1
                self.seen.seconds.append(time.monotonic() - due_s)
                due_s += every_s
        finally:
            writer.close()

    def _request(self, path: str, accept: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{self._head}Accept: {accept}\r\n\r\n".encode()


async def _answer_head(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    """Read an answer's status, and how long its body is; None = it comes in chunks."""
    status = int((await reader.readline()).split()[1])
    length: int | None = None
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, length


async def _answer_body(reader: asyncio.StreamReader, length: int | None) -> None:
    if length is not None:
        await reader.readexactly(length)
        return
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()


async def run(options: argparse.Namespace) -> Seen:
    """Keep every client busy until SIGTERM."""
    clients = Clients(options.url, options.token_file.read_text().strip())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    path = f"/api/v1/jobs/{options.job}/events" if options.job else "/api/v1/events"
    opened = [asyncio.Event() for _ in range(options.streams)]
    tasks = [asyncio.create_task(clients.listen(path, event)) for event in opened]
    for event in opened:
        await event.wait()
    if options.rate > 0:
        paths, every_s = cycle(options.paths or PATHS), CONNECTIONS / options.rate
        tasks += [
            asyncio.create_task(clients.request(paths, every_s, every_s * place / CONNECTIONS))
            for place in range(CONNECTIONS)
        ]
    print("ready", flush=True)
    await stop.wait()
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            await task
    return clients.seen


def main() -> None:
    """Run the clients and print what they saw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("token_file", type=Path)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=200.0, help="reads per second; 0 = none")
    parser.add_argument("--cpus", default="", help="that the clients run on, as Linux writes lists")
    parser.add_argument("--job", default="", help="whose events are streamed; else those of all jobs")
    options = parser.parse_intermixed_args()
    if options.cpus:
        os.sched_setaffinity(0, parse_cpu_list(options.cpus))
    print(json.dumps(asyncio.run(run(options)).document()))


if __name__ == "__main__":
    main()
