"""From a study that names a server to that server, started from the plan; of the fake engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotune.testing.fake_model import SCHEMA

RunCommand = Callable[..., tuple[int, str, str]]

STUDY: dict[str, Any] = {
    "name": "served",
    "model": "fake:model.json",
    "problem": {"batch_size": 2, "sequence_length": 16},
    "search": {"placements": ["close"], "instances": [1], "threads": [1], "knobs": "none"},
    "measure": {
        **{"warmup": "200ms", "block": "100ms", "blocks": 2, "max_blocks": 2},
        **{"disturbed": "keep", "trial_timeout": "60s"},
    },
    "confirm": {"finalists": 1, "rounds": 3},
    "budget": {"trials": 2, "minutes": 5.0},
}

SERVER = """
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = {"argv": sys.argv[1:], "environ": dict(os.environ), "cpus": sorted(os.sched_getaffinity(0))}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""Tells over HTTP what it was started with."""

WAIT_S = 60.0


def write(folder: Path, **launch: Any) -> None:
    model = {"schema": SCHEMA, "serial_s": 0.01, "speed": {"fp32": 0.5, "int8-dynamic": 1.0}}
    (folder / "model.json").write_text(json.dumps(model))
    (folder / "server.py").write_text(SERVER)
    (folder / "study.yaml").write_text(json.dumps({**STUDY, **({"launch": launch} if launch else {})}))


def test_a_server_is_started_from_the_plan_and_naming_another_is_no_other_study(
    tmp_path: Path, own_cache: Path, run_command: RunCommand
) -> None:
    write(tmp_path)
    code, _, err = run_command(tmp_path, "tune", "study.yaml")
    assert code == 0, err
    code, script, err = run_command(tmp_path, "export", "--to", "numactl")
    assert code == 0, err
    assert "autotune.trial.conduct" in script
    port = free_port()
    write(
        tmp_path,
        command=[sys.executable, str(tmp_path / "server.py"), "{port}", "{cpus}", "{artifact}"],
        port=port,
        environment={"GREETING": "hello {instance}"},
    )
    for _ in range(2):
        code, _, err = run_command(tmp_path, "tune", "study.yaml")
        assert code == 0, err
    _, listed, _ = run_command(tmp_path, "plans", "--json")
    assert len(json.loads(listed)) == 2, "of the first study, and with the server; not one more"
    code, _, err = run_command(tmp_path, "export", "--to", "numactl", "-o", "launch")
    assert code == 0, err
    plan = json.loads((tmp_path / "launch" / "plan.json").read_text())
    (instance,) = plan["instances"]
    told = asked(tmp_path / "launch" / "launch.sh", port)
    assert told["argv"] == [str(port), cpu_list(instance["cpus"]), instance["worker"]["artifact"]]
    assert told["cpus"] == (instance["cpus"] or sorted(os.sched_getaffinity(0)))
    assert (
        told["environ"].items()
        >= {
            "GREETING": "hello 0",
            "AUTOTUNE_PLAN": str(tmp_path / "launch" / "plan.json"),
            "AUTOTUNE_INSTANCE": "0",
        }.items()
    )
    code, script, err = run_command(tmp_path, "export", "--to", "numactl", "--workers")
    assert "autotune.trial.conduct" in script


def cpu_list(cpus: list[int]) -> str:
    """A list of at most one cpu, as the kernel writes it."""
    return ",".join(map(str, cpus))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def asked(script: Path, port: int) -> dict[str, Any]:
    """Start the script, ask its server, and end it."""
    with subprocess.Popen([script], stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            give_up_s = time.monotonic() + WAIT_S
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=WAIT_S) as answer:
                        told: dict[str, Any] = json.load(answer)
                        return told
                except OSError:
                    assert process.poll() is None, "the script has ended"
                    if time.monotonic() > give_up_s:
                        pytest.fail("the server does not answer")
                    time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_S) == 143
