"""Real servers for tests of what is exported: free ports, launches of the small server, and asking it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from autotune.plan.launch import Launch, launch_of
from autotune.spec.launch import LaunchSpec
from autotune.testing.launches import literal
from autotune.testing.plans import build_commands, build_plan

ALLOWED = sorted(os.sched_getaffinity(0))
WAIT_S = 60.0
SERVER = Path(__file__).with_name("answering.py")


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    for first in range(30_000 + os.getpid() % 1_000 * 2, 32_700, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


def answering(instances: int, *arguments: str, port: int, **changes: Any) -> Launch:
    """A launch of the small server, each instance on a cpu of this machine where there are enough."""
    server = LaunchSpec(
        command=(literal(sys.executable), literal(str(SERVER)), "{port}", *map(literal, arguments)),
        port=port,
        **changes,
    )
    commands = [
        replace(command, cpus=(ALLOWED[index % len(ALLOWED)],))
        for index, command in enumerate(build_commands(instances, memory_nodes=()))
    ]
    return launch_of(build_plan(commands), server, plan_path="/srv/plan.json")


@contextmanager
def running(commands: Sequence[Sequence[str]], **options: Any) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are told to end, and waited for, when the block is left."""
    processes = [subprocess.Popen(command, text=True, **options) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(WAIT_S)


def asked(port: int) -> dict[str, Any]:
    """What the server on this port answers, once it does."""
    give_up_s = time.monotonic() + WAIT_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            if answer.status == 200:
                record: dict[str, Any] = json.loads(answer.read())
                return record
        except OSError:
            pass
        finally:
            connection.close()
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"nothing answers on port {port}")
        time.sleep(0.05)


def is_free(port: int) -> bool:
    """Whether nobody listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
