"""Libraries that make sessions of their own are reached by the environment: their threads are counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.plan.document import parse_plan

pytestmark = [pytest.mark.engines, pytest.mark.slow]

PlanFile = Callable[..., Path]

COUNT = """
import os, sys
from pathlib import Path
{run}
print(len(list(Path("/proc/self/task").iterdir())))
"""

FASTEMBED = """
from fastembed import TextEmbedding
model = TextEmbedding("sentence-transformers/all-MiniLM-L6-v2", specific_model_path=sys.argv[1])
list(model.embed(["a text", "another text"]))
"""
SENTENCE_TRANSFORMERS = """
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)
model.encode(["a text", "another text"])
"""
OWN_SESSION = """
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", providers=["CPUExecutionProvider"])
ids = numpy.ones((1, 8), numpy.int64)
session.run(None, {each.name: ids for each in session.get_inputs()})
"""


def python_with(package: str) -> str:
    """A Python that has the package: this one, or the one that the environment names; else skips the test."""
    own = os.environ.get(f"AUTOTUNE_PYTHON_WITH_{package.upper()}", sys.executable)
    found = subprocess.run([own, "-P", "-c", f"import {package}"], capture_output=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"{package} is not installed")
    return own


def threads(run: str, python: str, folder: Path, *start: str) -> int:
    """Count the threads of a process that has answered; the caller has no variables that say how many."""
    words = [*start, python, "-P", "-c", COUNT.format(run=run), str(folder)]
    kept = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=kept)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return int(ended.stdout.splitlines()[-1])


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one cpu there is one thread anyway")
@pytest.mark.parametrize(
    ("package", "run", "backend"),
    [
        ("fastembed", FASTEMBED, "onnxruntime"),
        ("onnxruntime", OWN_SESSION, "onnxruntime"),
        ("sentence_transformers", SENTENCE_TRANSFORMERS, "pytorch"),
    ],
)
def test_a_launch_of_the_plan_bounds_their_threads(
    plan_file: PlanFile, minilm: Path, tmp_path: Path, package: str, run: str, backend: str
) -> None:
    python = python_with(package)
    head = "none" if backend == "onnxruntime" else None
    plan = plan_file(minilm, {"batch_size": 1, "sequence_length": 8}, backend=backend, head=head)
    folder = tmp_path / "model"
    shutil.copytree(minilm, folder)
    if backend == "onnxruntime":
        artifact = parse_plan(plan.read_bytes()).instances[0].worker.artifact
        for file in Path(artifact).iterdir():
            shutil.copyfile(file, folder / file.name)
    alone = threads(run, python, folder)
    start = [sys.executable, "-P", "-m", "autotune.runtime.start", str(plan), "0"]
    launched = threads(run, python, folder, *start)
    assert launched < alone
