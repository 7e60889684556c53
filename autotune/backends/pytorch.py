"""PyTorch: transformers' own model, eager, as `from_pretrained` gives it. At fp32 it is the baseline."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.protocol import EngineReport, Session
from autotune.backends.transformers_model import OFFLINE_AND_QUIET, load_model
from autotune.spec.configuration import Precision

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of x86 (first two) and Arm cpus that multiply bf16; without one it runs several times slower
than fp32."""

_TORCH_DTYPES: Mapping[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "int8-dynamic": "float32"}
_PRECISION_NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class PyTorchBackend:
    """Transformers models in eager PyTorch; int8 by `torch.ao.quantization.quantize_dynamic` on loading."""

    name: ClassVar[str] = "pytorch"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "bf16", "int8-dynamic")
    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    install_hint: ClassVar[str] = "pip install torch transformers safetensors"

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        if model_kind == "fake":
            return "pytorch runs real models; a fake one runs in the fake backend"
        if precision not in self.precisions:
            return f"pytorch has no {precision}"
        if precision == "bf16" and not isa & BF16_FLAGS:
            return f"this cpu does not multiply bf16 (none of {', '.join(sorted(BF16_FLAGS))})"
        return None

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`; libgomp and MKL size their pools when they are loaded."""
        if threads == 0:
            return OFFLINE_AND_QUIET
        count = str(threads)
        return {**OFFLINE_AND_QUIET, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`; all precisions share the fp32 weights, and one copy of them on disk."""
        assert model.path is not None
        for name in ("config.json", "model.safetensors"):
            os.link(model.path / name, directory / name)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        model = load_model(directory, _TORCH_DTYPES[precision])
        import torch

        if threads:
            torch.set_num_threads(threads)
        _own_weights(model)
        if precision == "int8-dynamic":
            _quantize(model)
        return PyTorchSession(model)


class PyTorchSession:
    """One transformers module; see `Session`."""

    def __init__(self, model: Any) -> None:
        import torch

        self._torch = torch
        self._model = model

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """See `Session.run`."""
        torch = self._torch
        with torch.inference_mode():
            output = self._model(**{name: torch.from_numpy(array) for name, array in inputs.items()})[0]
            # NumPy has no bf16.
            answer: np.ndarray[Any, Any] = output.float().numpy()
        return answer

    def report(self) -> EngineReport:
        """See `Session.report`."""
        return EngineReport(
            engine="pytorch",
            version=self._torch.__version__,
            precision=_precision_of(self._model),
            threads=self._torch.get_num_threads(),
        )

    def close(self) -> None:
        """See `Session.close`; the thread pool stays until the process ends."""
        self._model = None


def _quantize(model: Any) -> None:
    import torch

    with warnings.catch_warnings():
        # Eager quantisation announces its end; the supported range of torch versions still has it.
        warnings.simplefilter("ignore")
        torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True)
    # The modules that were replaced hold their fp32 weights in reference cycles.
    gc.collect()


def _own_weights(model: Any) -> None:
    """Copy the weights into memory of this process.

    Loaded, they are mapped from the file, and the page cache has them on the NUMA node of whoever read
    the file first; a copy is first touched here, under this process's memory policy.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def _precision_of(model: Any) -> str:
    """The precision that most of the weights that are multiplied by have (embeddings are only looked up)."""
    weights: dict[str, int] = {}
    for module in model.modules():
        for name, size in _multiplied_weights(module):
            weights[name] = weights.get(name, 0) + size
    return max(weights, key=lambda name: weights[name], default="unknown")


def _multiplied_weights(module: Any) -> list[tuple[str, int]]:
    import torch

    if isinstance(module, torch.ao.nn.quantized.dynamic.Linear):
        kind = str(module.weight().dtype).removeprefix("torch.q")
        return [(f"{kind}-dynamic", module.in_features * module.out_features)]
    if isinstance(module, torch.nn.Embedding):
        return []
    matrices = [parameter for parameter in module.parameters(recurse=False) if parameter.dim() >= 2]
    names = [str(matrix.dtype).removeprefix("torch.") for matrix in matrices]
    return [
        (_PRECISION_NAMES.get(name, name), matrix.numel())
        for name, matrix in zip(names, matrices, strict=True)
    ]
