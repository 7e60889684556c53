"""The example of the manual, served by uvicorn: its answers are the session's."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import pytest

import autotune

pytestmark = pytest.mark.engines

PlanFile = Callable[..., Path]
RunCommand = Callable[..., tuple[int, str, str]]

EXAMPLES = Path(autotune.__file__).parents[1] / "docs" / "examples"

TEXTS = ["A good day.", "The weather is fine today, and nobody complains.", "Quantised?"]

ANSWER = """
import json, sys
import autotune.runtime
with autotune.runtime.load() as session:
    print(json.dumps(session(json.loads(sys.argv[1])).tolist()))
"""


@contextmanager
def served(plan: Path) -> Iterator[str]:
    """Have uvicorn serve the example as the plan's first instance; give its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ["-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_server:app", "--port", str(port)]
    words = [sys.executable, "-P", "-m", "autotune.runtime.start", str(plan), "0", sys.executable, *server]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ}) as process:
        try:
            until = time.monotonic() + 60
            while not answers_health(address):
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < until, "it does not answer"
                time.sleep(0.1)
            yield address
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        finally:
            process.kill()


def answers_health(address: str) -> bool:
    try:
        with urlopen(f"{address}/health", timeout=5) as response:
            return bool(response.status == 200)
    except HTTPError as error:
        error.close()
        return False
    except (URLError, ConnectionError):
        return False


def post(address: str, body: Any, accept: str = "application/json") -> Any:
    request = Request(
        f"{address}/answers",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "accept": accept},
    )
    with urlopen(request, timeout=20) as response:
        return response.headers, response.read()


@pytest.mark.slow
def test_its_answers_over_http_are_those_of_the_session(
    plan_file: PlanFile, in_process: Callable[..., Any], minilm: Path, run_command: RunCommand
) -> None:
    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    plan = plan_file(minilm, {"batch_size": 2, "sequence_length": 16})
    expected = np.array(in_process(plan, ANSWER, json.dumps(TEXTS)), dtype=np.float32)
    with served(plan) as address:
        _, body = post(address, {"texts": TEXTS})
        np.testing.assert_array_equal(np.array(json.loads(body)["answers"], dtype=np.float32), expected)
        headers, body = post(address, {"texts": TEXTS}, "application/octet-stream")
        shape = tuple(map(int, headers["x-shape"].split(",")))
        np.testing.assert_array_equal(np.frombuffer(body, np.float32).reshape(shape), expected)
        with ThreadPoolExecutor(8) as pool:
            asked = [[text] for text in TEXTS * 8]
            got = [
                json.loads(body)["answers"][0]
                for _, body in pool.map(lambda one: post(address, {"texts": one}), asked)
            ]
        alone = dict(zip(TEXTS * 8, got, strict=True))
        for text, answer in zip(TEXTS, expected, strict=True):
            np.testing.assert_allclose(alone[text], answer, atol=1e-5)
        with urlopen(f"{address}/health") as response:
            health = json.loads(response.read())
        assert health["engine"] == "pytorch"
        shown = [
            "verify",
            str(plan),
            "--launched",
            "--url",
            f"{address}/answers",
            "--rate",
            "20",
            "--seconds",
            "2",
        ]
        _, out, err = run_command(plan.parent, *shown, "--json")
        looked = json.loads(out)
        assert (looked["verdict"], looked["served"]["answered"]) == ("as planned", 40), (out, err)
        libraries = {finding["finding"] for finding in looked["findings"] if finding["aspect"] == "libraries"}
        assert libraries == {"as planned"}
        wrongs: list[Any] = [{"texts": []}, {"texts": "one"}, {"texts": ["\ud800"]}, {}]
        for wrong in wrongs:
            with pytest.raises(HTTPError) as refused:
                post(address, wrong)
            with refused.value as answer:
                assert answer.code == 422
