"""A plan served by Ray Serve: really started as exported, asked over HTTP, looked at in /proc, and ended."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.exporters.exporting import export, launch_for
from autotune.exporters.ray_serve import FILE, RayServeExporter, RayServeOptions
from autotune.exporters.write import write_export
from autotune.jobs.launched import AskedLoad, verify_launched
from autotune.machine.cpus import parse_cpu_list
from autotune.placement.variables import AFFINITY
from autotune.plan.document import parse_plan
from autotune.plan.launch import PLAN_FILE, Launch
from autotune.runtime.ray_app import BYTES, fewest
from autotune.spec.launch import LaunchSpec
from autotune.testing.launches import literal
from tests.exporters.serving import free_ports, is_free

PlanFile = Callable[..., Path]
RunCommand = Callable[..., tuple[int, str, str]]

WAIT_S = 120.0
TEXTS = ["a b c", "d e f g h", "j"]

ASKED = """
import asyncio, json, os, sys
os.environ["OMP_PLACES"] = "cores"
from autotune.runtime.ray_app import RayInstance

class Mine:
    def __call__(self, asked):
        return {"mine": asked}

def replies(instance, *bodies, accept=""):
    for body in bodies:
        reply = asyncio.run(instance(body, accept))
        yield reply.status, reply.media_type, reply.shape, reply.content.hex()

measured = RayInstance()
texts = json.loads(sys.argv[1])
tokens = {"input_ids": [[2, 10, 3]], "attention_mask": [[1, 1, 1]]}
bodies = [json.dumps({"texts": texts}), json.dumps(tokens)]
wrong = [
    *("{", "[]", "{}", "[" * 100000, '{"texts": []}', '{"texts": [1]}', '{"texts": ["a"], "more": 1}'),
    *('{"input_ids": [[1.5]]}', '{"input_ids": [[1], [1, 2]]}', '{"input_ids": [[1]], "unheard": [[1]]}'),
]
print(json.dumps({
    "json": list(replies(measured, *bodies)),
    "bytes": list(replies(measured, *bodies, accept="application/octet-stream")),
    "wrong": list(replies(measured, *wrong)),
    "expected": [measured._answer.session(texts).tolist()],
    "mine": list(replies(RayInstance("__main__:Mine"), '{"texts": 1}')),
    "report": asyncio.run(measured.report()),
    "places": os.environ.get("OMP_PLACES"),
}))
"""


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 4))
def test_the_instance_with_the_fewest_requests_is_next(in_hand: list[int], last: int) -> None:
    chosen = fewest(in_hand, last % len(in_hand))
    assert in_hand[chosen] == min(in_hand)
    between = [(last % len(in_hand) + step) % len(in_hand) for step in range(1, len(in_hand) + 1)]
    assert chosen == next(index for index in between if in_hand[index] == min(in_hand))


def test_an_instance_answers_texts_tokens_and_a_class_of_ones_own(
    plan_file: PlanFile, in_process: Callable[..., Any]
) -> None:
    told = in_process(plan_file("encoder"), ASKED, json.dumps(TEXTS))
    (texts, tokens), (raw, _) = told["json"], told["bytes"]
    assert (texts[0], tokens[0], texts[1]) == (200, 200, "application/json")
    expected = np.array(told["expected"][0], dtype=np.float32)
    answers = json.loads(bytes.fromhex(texts[3]))["answers"]
    np.testing.assert_array_equal(np.array(answers, dtype=np.float32), expected)
    assert raw[1:3] == [BYTES, ",".join(map(str, expected.shape))]
    np.testing.assert_array_equal(np.frombuffer(bytes.fromhex(raw[3]), np.float32), expected.ravel())
    for status, _, _, content in told["wrong"]:
        assert status == 422
        assert json.loads(bytes.fromhex(content))["error"]
    assert json.loads(bytes.fromhex(told["mine"][0][3])) == {"mine": {"texts": 1}}
    assert (told["report"]["instance"], told["report"]["threads"]) == (0, 1)
    assert told["places"] is None


def cluster(folder: str) -> list[psutil.Process]:
    """Every process that was started with Ray's temporary folder here."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_TMPDIR") == folder and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue  # it ended, or is not ours
    return found


@contextmanager
def served(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have `serve run` start a cluster of its own for a file; afterwards nothing of it is left."""
    serve = Path(sys.executable).with_name("serve")
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            **{"RAY_TMPDIR": folder, "RAY_AUTH_TOKEN_PATH": f"{folder}/token"},
            **{"RAY_USAGE_STATS_ENABLED": "0", "OMP_PLACES": "cores"},
        }
        Path(folder, "token").write_text(secrets.token_hex(32))  # Ray would write one into the home
        process = subprocess.Popen([serve, "run", file.name], cwd=file.parent, env=environment)
        try:
            yield process
            process.send_signal(signal.SIGINT)
            process.wait(WAIT_S)
            psutil.wait_procs(cluster(folder), WAIT_S)
            assert cluster(folder) == []
        finally:
            for left in cluster(folder):
                left.kill()
            process.wait(WAIT_S)


def get(address: str, serve: subprocess.Popen[bytes]) -> Any:
    """What runs, once all instances do."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            with urlopen(address, timeout=20) as response:
                return json.loads(response.read())
        except (HTTPError, URLError, ConnectionError) as error:
            if isinstance(error, HTTPError):
                error.close()
            assert serve.poll() is None, "Ray Serve has ended"
            assert time.monotonic() < until, "it does not answer"
        time.sleep(0.5)


def post(address: str, body: Any, accept: str = "application/json") -> Any:
    request = Request(address, data=json.dumps(body).encode(), headers={"accept": accept})
    with urlopen(request, timeout=60) as response:
        return response.headers, response.read()


def written(plan: Path, folder: Path, port: int) -> tuple[Path, Launch]:
    """The exported file, with the plan beside, and what it is to start."""
    exporter = RayServeExporter()
    server = LaunchSpec(port=port, environment={"HOSTILE": literal("it's $HOME `x` \n${PATH} {{ }")})
    read = parse_plan(plan.read_text())
    launch = launch_for(exporter, read, server, plan_path=str(folder / PLAN_FILE))
    write_export(export(exporter, launch, RayServeOptions()).files, folder)
    return folder / FILE, launch


def masks(pid: int) -> set[tuple[int, ...]]:
    """Every thread's, in the kernel's words."""
    lines = [
        line.partition(":")[2].strip()
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("Cpus_allowed_list")
    ]
    return {tuple(sorted(parse_cpu_list(line))) for line in lines}


def environ(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(os.fsdecode(word).split("=", 1) for word in words if b"=" in word)


@pytest.mark.slow
@pytest.mark.engines
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cpus")
@pytest.mark.parametrize("backend", ["onnxruntime"])
def test_ray_serve_starts_what_was_exported_and_answers_as_the_session_does(
    plan_file: PlanFile, in_process: Callable[..., Any], run_command: RunCommand, tmp_path: Path, backend: str
) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    plan = plan_file("encoder", instances=2, backend=backend)
    port = free_ports(2)
    file, launch = written(plan, tmp_path / "it's out", port)
    expected = np.array(in_process(plan, ANSWER, json.dumps(TEXTS)), dtype=np.float32)
    with served(file) as serve:
        address = f"http://127.0.0.1:{port}"
        reports = get(address, serve)["instances"]
        _, body = post(address, {"texts": TEXTS})
        np.testing.assert_array_equal(np.array(json.loads(body)["answers"], dtype=np.float32), expected)
        headers, body = post(address, {"texts": TEXTS}, BYTES)
        shape = tuple(map(int, headers["x-shape"].split(",")))
        np.testing.assert_array_equal(np.frombuffer(body, np.float32).reshape(shape), expected)
        with pytest.raises(HTTPError) as refused:
            post(address, {"texts": []})
        with refused.value as answer:
            assert answer.code == 422
        assert len({report["pid"] for report in reports}) == 2
        for instance, report in zip(launch.instances, reports, strict=True):
            assert (report["instance"], report["engine"]) == (instance.index, backend)
            assert report["threads"] == instance.threads
            assert masks(report["pid"]) == {instance.cpus}
            seen = environ(report["pid"])
            assert seen.items() >= instance.environment.items()
            assert not seen.keys() & {*AFFINITY}
        assert {report["plan"] for report in reports} == {launch.plan.id}
        code, out, err = run_command(file.parent, "verify", f"./{PLAN_FILE}", "--launched", "--json")
        assert (code, json.loads(out)["verdict"]) == (0, "as planned"), out + err
        os.kill(reports[1]["pid"], signal.SIGKILL)
        again = new_process(address, serve, reports[1]["pid"])
        assert masks(again) == {launch.instances[1].cpus}
        assert environ(again).items() >= launch.instances[1].environment.items()
        looked = verify_launched(launch.plan, load=AskedLoad((address,), rate_per_s=20, seconds=1))
        assert looked.verdict == "as planned", looked.findings
        assert looked.served is not None
        assert looked.served.answered > 0, looked.served
    assert is_free(port)


def new_process(address: str, serve: subprocess.Popen[bytes], ended: int) -> int:
    """The process of the second instance, once Ray has put another in the place of the one that ended."""
    until = time.monotonic() + WAIT_S
    while (pid := int(get(address, serve)["instances"][1]["pid"])) == ended:
        assert time.monotonic() < until, "it is not started again"
        time.sleep(0.5)
    return pid


ANSWER = """
import json, sys
import autotune.runtime
with autotune.runtime.load() as session:
    print(json.dumps(session(json.loads(sys.argv[1])).tolist()))
"""
