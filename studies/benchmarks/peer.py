"""Starts one engine as its own documentation does, out of the box, and writes how fast it answers.

    python studies/benchmarks/peer.py run ENGINE MODEL REQUEST --seconds 4 --result FILE
    python studies/benchmarks/peer.py quantize ONNX_FOLDER TARGET_FOLDER

REQUEST is an .npz of one request's inputs, by name. Nothing of autotune is in it, and no setting: neither
threads, nor pinning, nor an environment. The result is JSON: `samples_per_s`, `latency_p50_s`, `requests`,
the answer's `shape`, and its `cosine` to the answer in `--reference`; `--answer` writes the answer itself.
`studies/benchmarks/against_peers.py` starts it, a fresh process for each run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Request = Mapping[str, Array]
Answer = Callable[[], Array]
"""Answers the same request once more: hidden states `(batch, tokens, hidden)`."""

WARMUP_REQUESTS = 3
WARMUP_S = 1.0
"""Warm up for at least so many requests and so long: caches fill, pools start, clocks settle."""

ONNX_FILE = "model.onnx"


def pytorch(model: Path, request: Request) -> Answer:
    """Load eager PyTorch with `from_pretrained`, as transformers' quick tour does; infer without gradients.

    `from_pretrained` has put the model into evaluation mode; PyTorch's own documentation asks for it anyway.
    """
    return _torch_answer(_transformer(model), request)


def torch_compile(model: Path, request: Request) -> Answer:
    """Compile the same with `torch.compile(model)`, as its tutorial does."""
    import torch

    return _torch_answer(torch.compile(_transformer(model)), request)


def torchscript(model: Path, request: Request) -> Answer:
    """Trace the same with `torch.jit.trace`, at the request's shape, and freeze it, as their pages show."""
    import torch

    transformer = _transformer(model)
    names, tensors = list(request), tuple(torch.from_numpy(array) for array in request.values())

    class FirstOutput(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, *arrays: Any) -> Any:
            return self.transformer(**dict(zip(names, arrays, strict=True)))[0]

    with torch.no_grad():
        traced = torch.jit.freeze(torch.jit.trace(FirstOutput().eval(), tensors))

    def answer() -> Array:
        with torch.inference_mode():
            hidden: Array = traced(*tensors).numpy()
        return hidden

    return answer


def onnxruntime(model: Path, request: Request) -> Answer:
    """Open `InferenceSession(path)`, without any option, as ONNX Runtime's "Get started with Python" does."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model / ONNX_FILE))
    given = dict(request)
    return lambda: np.asarray(session.run(None, given)[0])


def openvino(model: Path, request: Request) -> Answer:
    """Compile with `Core().compile_model(path, "CPU")`, as the first example of OpenVINO's pages does."""
    import openvino

    (network,) = model.glob("*.xml")
    compiled = openvino.Core().compile_model(str(network), "CPU")
    given = dict(request)
    return lambda: np.asarray(compiled(given)[0])


def ctranslate2(model: Path, request: Request) -> Answer:
    """Open `ctranslate2.Encoder(path)` and give it token ids, as CTranslate2's page on BERT does."""
    return _ctranslate2_answer(model, request)


def ctranslate2_int8(model: Path, request: Request) -> Answer:
    """Open the same with `compute_type="int8"`, as CTranslate2's page on quantisation does."""
    return _ctranslate2_answer(model, request, compute_type="int8")


ENGINES: Mapping[str, Callable[[Path, Request], Answer]] = {
    "pytorch": pytorch,
    "torch-compile": torch_compile,
    "torchscript": torchscript,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "ctranslate2": ctranslate2,
    "ctranslate2-int8": ctranslate2_int8,
}


def _transformer(model: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(model).eval()


def _torch_answer(model: Any, request: Request) -> Answer:
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in request.items()}

    def answer() -> Array:
        with torch.inference_mode():
            hidden: Array = model(**tensors).last_hidden_state.numpy()
        return hidden

    return answer


def _ctranslate2_answer(model: Path, request: Request, **settings: str) -> Answer:
    import ctranslate2

    encoder = ctranslate2.Encoder(str(model / "ctranslate2"), **settings)
    tokens = request["input_ids"].tolist()
    return lambda: np.array(encoder.forward_batch(tokens).last_hidden_state)


def measure(answer: Answer, batch: int, seconds: float) -> dict[str, Any]:
    """Warm up, then answer back to back for so many seconds."""
    begin, answered = time.perf_counter(), 0
    while answered < WARMUP_REQUESTS or time.perf_counter() - begin < WARMUP_S:
        answer()
        answered += 1
    latencies_s = []
    begin = end = time.perf_counter()
    while end - begin < seconds:
        start = end
        answer()
        end = time.perf_counter()
        latencies_s.append(end - start)
    return {
        "samples_per_s": batch * len(latencies_s) / (end - begin),
        "latency_p50_s": statistics.median(latencies_s),
        "requests": len(latencies_s),
    }


def cosine(answer: Array, reference: Array) -> float:
    """How alike two answers of one shape are, 1 at most."""
    ones, others = answer.ravel().astype(np.float64), reference.ravel().astype(np.float64)
    return float(ones @ others / (np.linalg.norm(ones) * np.linalg.norm(others)))


def run(options: argparse.Namespace) -> None:
    """Load, look at one answer, measure, and write the result.

    Raises:
        SystemExit: the answer isn't a number everywhere, or not of the reference's shape.
    """
    with np.load(options.request) as arrays:
        request = dict(arrays)
    answer = ENGINES[options.engine](options.model, request)
    first = answer()
    if not np.isfinite(first).all():
        raise SystemExit("its answer is not a number everywhere")
    document: dict[str, Any] = {"shape": list(first.shape)}
    if options.reference is not None:
        reference = np.load(options.reference)
        if reference.shape != first.shape:
            raise SystemExit(f"its answer is of shape {first.shape}, not {reference.shape}")
        document["cosine"] = cosine(first, reference)
    if options.answer is not None:
        np.save(options.answer, first)
    document |= measure(answer, len(request["input_ids"]), options.seconds)
    options.result.write_text(json.dumps(document), encoding="utf-8")


def quantize(options: argparse.Namespace) -> None:
    """Quantise with `quantize_dynamic(model_fp32, model_quant)`, as ONNX Runtime's page does.

    The fp32 model is copied first, because the tool writes beside what it reads.
    """
    from onnxruntime.quantization import quantize_dynamic

    copied = options.target / "fp32"
    shutil.copytree(options.onnx, copied, copy_function=shutil.copyfile)
    copied.chmod(0o700)
    quantize_dynamic(copied / ONNX_FILE, options.target / ONNX_FILE)
    shutil.rmtree(copied)


def main() -> None:
    """Run an engine, or quantise a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("engine", choices=sorted(ENGINES))
    running.add_argument("model", type=Path)
    running.add_argument("request", type=Path)
    running.add_argument("--seconds", type=float, default=4.0)
    running.add_argument("--result", type=Path, required=True)
    running.add_argument("--reference", type=Path)
    running.add_argument("--answer", type=Path)
    running.set_defaults(do=run)
    quantizing = commands.add_parser("quantize")
    quantizing.add_argument("onnx", type=Path)
    quantizing.add_argument("target", type=Path)
    quantizing.set_defaults(do=quantize)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
