"""Prints what ONNX Runtime's offline fusion of attention gains over the usual graph of autotune, in turns.

    python studies/benchmarks/fused_attention.py [--model distilbert-base] [--rounds 20] [--seconds 1]

Both graphs are those of autotune, of the same seeded random weights, usual and with the knob `fusion=on`;
what differs is the exporter, too (see `autotune.backends.onnxruntime.fusion`). They run in one process, one
block after the other, in random order, with as many threads as may run, up to four; the interval is
Student's over the rounds' log-ratios. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.onnx.graph import MODEL_FILE
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.model.architectures import ARCHITECTURES
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.inputs import make_inputs
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import end_fork_server, prepare_artifact
from autotune.spec.configuration import Precision
from autotune.statistics.paired import paired_ratio

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8-dynamic")
SHAPES = ((8, 128), (1, 24), (1, 384))
REST_S = 0.1
"""Between two blocks: ONNX Runtime's threads spin for a while after their last request."""
TIMEOUT_S = 900

Request = dict[str, np.ndarray[Any, Any]]


def session(file: Path, threads: int) -> Any:
    """As the ONNX Runtime backend opens one."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def block(one: Any, request: Request, seconds: float) -> float:
    """Sequences per second of one block."""
    time.sleep(REST_S)
    begin, answered = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < seconds:
        one.run(None, request)
        answered += len(next(iter(request.values())))
    return answered / passed


def compare(usual: Any, fused: Any, request: Request, rounds: int, seconds: float) -> str:
    """How fast the fused one is beside the usual one, and how alike they answer."""
    answers = [one.run(None, request)[0].ravel() for one in (usual, fused)]
    cosine = float(np.dot(*answers) / np.prod([np.linalg.norm(answer) for answer in answers]))
    speeds: dict[int, list[float]] = {0: [], 1: []}
    for which in (0, 1):
        block((usual, fused)[which], request, seconds)
    for _ in range(rounds):
        for which in random.sample((0, 1), 2):
            speeds[which].append(block((usual, fused)[which], request, seconds))
    ratio = paired_ratio(speeds[1], speeds[0])
    return (
        f"fused / usual: {ratio.estimate:.3f}, 95 %: {ratio.low:.3f} to {ratio.high:.3f}"
        f" (cosine of their answers {cosine:.4f})"
    )


def graph(model: ResolvedModel, precision: Precision, knobs: str, machine: Machine) -> Path:
    """The artifact's folder, from the usual cache."""
    made = prepare_artifact(
        model,
        "onnxruntime",
        precision,
        machine.isa,
        ArtifactCache(),
        timeout_s=TIMEOUT_S,
        made_for=MadeFor(knobs=knobs),
    )
    return made.directory


def main() -> None:
    """Prepare both graphs, and take turns at each precision and shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=sorted(ARCHITECTURES), default="distilbert-base")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    machine = read_machine()
    threads = min(4, len(machine.allowed_cores), machine.thread_budget)
    model = resolve_model(f"random:{options.model}", base=Path(), seed=0, offline=True)
    folders = {
        precision: [graph(model, precision, knobs, machine) for knobs in ("", "fusion=on")]
        for precision in PRECISIONS
    }
    end_fork_server()
    for precision, both in folders.items():
        usual, fused = (session(folder / MODEL_FILE, threads) for folder in both)
        for batch, tokens in SHAPES:
            request = make_inputs(both[0], batch, tokens, 0)
            said = compare(usual, fused, request, options.rounds, options.seconds)
            print(f"{precision:12} {batch} x {tokens} tokens, {threads} threads: {said}", flush=True)


if __name__ == "__main__":
    main()
