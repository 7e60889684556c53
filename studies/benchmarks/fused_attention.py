"""Prints what ONNX Runtime's offline fusion of attention gains over the usual graph of autotune, in turns.

    python studies/benchmarks/fused_attention.py [--model distilbert-base] [--rounds 20] [--seconds 1]

The fused graph is exported from the same seeded random weights with eager attention and by torch's older
exporter, whose pattern is the only one in which the fusion finds attention; then it is optimised by
`onnxruntime.transformers.optimizer`, and quantised for int8. What was fused is printed. Both graphs run in
one process, one block after the other, in random order, with as many threads as may run, up to four; the
interval is Student's over the rounds' log-ratios. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import logging
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.preparation import end_fork_server, prepare_artifact
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.model.architectures import ARCHITECTURES
from autotune.model.cache import ArtifactCache
from autotune.model.inputs import make_inputs
from autotune.model.sources import resolve_model
from autotune.spec.configuration import Precision
from autotune.statistics.paired import paired_ratio

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8-dynamic")
SHAPES = ((8, 128), (1, 24), (1, 384))
REST_S = 0.1
"""Between two blocks: ONNX Runtime's threads spin for a while after their last request."""
TIMEOUT_S = 900

Request = dict[str, np.ndarray[Any, Any]]


def fuse(architecture: str, names: list[str], folder: Path) -> None:
    """Write `fp32/model.onnx` and `int8-dynamic/model.onnx` into `folder`; in a process of its own."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    logging.getLogger().setLevel(logging.ERROR)
    for precision in PRECISIONS:
        (folder / precision).mkdir()
    exported, target = folder / "exported.onnx", folder / "fp32" / "model.onnx"
    export_eager(architecture, names, folder, exported)
    described = ARCHITECTURES[architecture].config
    optimised = optimize_model(
        str(exported),
        model_type="bert",
        num_heads=int(described.get("num_attention_heads") or described["n_heads"]),
        hidden_size=int(described.get("hidden_size") or described["dim"]),
        optimization_options=FusionOptions("bert"),
        opt_level=0,
    )
    fused = {name: count for name, count in optimised.get_fused_operator_statistics().items() if count}
    print(f"fused: {fused or 'nothing'}", flush=True)
    optimised.save_model_to_file(str(target), use_external_data_format=True)
    quantize_dynamic(
        target,
        folder / "int8-dynamic" / "model.onnx",
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def export_eager(architecture: str, names: list[str], folder: Path, target: Path) -> None:
    """Export a model whose attention is written out, its axes left free."""
    import onnx
    import torch
    import transformers

    from autotune.backends.random_model import write_random_model

    write_random_model(architecture, 0, folder)
    transformers.utils.logging.disable_progress_bar()
    kind = getattr(transformers, ARCHITECTURES[architecture].class_name)
    model = kind.from_pretrained(folder, attn_implementation="eager", local_files_only=True).eval()

    class Positional(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> Any:
            return self.model(**dict(zip(names, arrays, strict=True)))[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its age
        torch.onnx.export(
            Positional().eval(),
            tuple(torch.ones((2, 8), dtype=torch.int64) for _ in names),
            target,
            dynamo=False,
            opset_version=17,
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in (*names, "output")},
            input_names=names,
            output_names=["output"],
        )
    graph = onnx.load(target)
    del graph.graph.value_info[:]
    onnx.save_model(graph, target, save_as_external_data=True, location="exported.data")


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


def usual_graph(architecture: str, precision: Precision, machine: Machine) -> Path:
    """The artifact's folder, from the usual cache."""
    model = resolve_model(f"random:{architecture}", base=Path(), seed=0, offline=True)
    made = prepare_artifact(
        model, "onnxruntime", precision, machine.isa, ArtifactCache(), timeout_s=TIMEOUT_S
    )
    return made.directory


def main() -> None:
    """Prepare both graphs, and take turns at each precision and shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=sorted(ARCHITECTURES), default="distilbert-base")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--fuse", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fuse:
        fuse(options.model, options.fuse[1:], Path(options.fuse[0]))
        return
    machine = read_machine()
    threads = min(4, len(machine.allowed_cores), machine.thread_budget)
    usual = {precision: usual_graph(options.model, precision, machine) for precision in PRECISIONS}
    end_fork_server()
    names = list(make_inputs(usual["fp32"], 1, 8, 0))
    with tempfile.TemporaryDirectory() as name:
        making = [sys.executable, __file__, "--model", options.model, "--fuse", name, *names]
        subprocess.run(making, check=True, timeout=TIMEOUT_S)
        for precision in PRECISIONS:
            ours = session(usual[precision] / "model.onnx", threads)
            theirs = session(Path(name) / precision / "model.onnx", threads)
            for batch, tokens in SHAPES:
                request = make_inputs(usual[precision], batch, tokens, 0)
                said = compare(ours, theirs, request, options.rounds, options.seconds)
                print(f"{precision:12} {batch} x {tokens} tokens, {threads} threads: {said}", flush=True)


if __name__ == "__main__":
    main()
