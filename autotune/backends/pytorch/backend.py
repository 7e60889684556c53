"""PyTorch: transformers' own model, eager, as `from_pretrained` gives it. At fp32 it is the baseline."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.protocol import EngineReport, Session, StatedTimes
from autotune.backends.torch.engine import (
    OFFLINE_AND_QUIET,
    TORCH_DTYPES,
    prevailing_precision,
    quantize_linears,
    refuse_model,
    refuse_precision,
    thread_variables,
)
from autotune.backends.torch.knobs import set_torch_threads, torch_knobs, torch_knobs_in_force
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel


class PyTorchBackend:
    """Transformers models in eager PyTorch; int8 by `torch.ao.quantization.quantize_dynamic` on loading."""

    name: ClassVar[str] = "pytorch"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "bf16", "int8-dynamic")
    packages: ClassVar[tuple[str, ...]] = ("torch", "transformers", "safetensors")
    install_hint: ClassVar[str] = "pip install torch transformers safetensors"
    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]] = torch_knobs(precisions, eager=True)
    times: ClassVar[StatedTimes] = StatedTimes({"fp32": 0.5, "bf16": 0.5, "int8-dynamic": 0.8}, trial_s=9.0)

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        return refuse_model(self.name, model_kind) or refuse_precision(self.name, precision, isa)

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`; libgomp and MKL size their pools when they are loaded."""
        return {**OFFLINE_AND_QUIET, **thread_variables(threads)}

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`; all precisions share the fp32 weights, and one copy of them on disk."""
        from autotune.backends.sentence_model import link_modules

        assert model.path is not None
        for name in ("config.json", "model.safetensors"):
            os.link(model.path / name, directory / name)
        link_modules(model.path, directory)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        return self.load_with(directory, precision, threads, {})

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """See `TakesKnobs.load_with`."""
        from autotune.backends.torch.transformers_model import load_model

        model = load_model(directory, TORCH_DTYPES[precision])
        self.set_threads(threads, knobs)
        _own_weights(model)
        if precision == "int8-dynamic":
            quantize_linears(model)
        return PyTorchSession(model)

    def set_threads(self, threads: int, knobs: Knobs) -> None:
        """See `SetsThreads.set_threads`."""
        set_torch_threads(threads, knobs)


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
            precision=prevailing_precision(_multiplied_weights(self._model)),
            threads=self._torch.get_num_threads(),
            knobs=torch_knobs_in_force(),
        )

    def close(self) -> None:
        """See `Session.close`; the thread pool stays until the process ends."""
        self._model = None


def _own_weights(model: Any) -> None:
    """Copy the weights into memory of this process.

    Loaded, they are mapped from the file, and the page cache has them on the NUMA node of whoever read
    the file first; a copy is first touched here, under this process's memory policy.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def _multiplied_weights(model: Any) -> Iterator[tuple[Any, int]]:
    """dtype and size of every matrix that is multiplied by; embeddings are only looked up."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.ao.nn.quantized.dynamic.Linear):
            yield module.weight().dtype, module.in_features * module.out_features
        elif not isinstance(module, torch.nn.Embedding):
            parameters = module.parameters(recurse=False)
            yield from ((matrix.dtype, matrix.numel()) for matrix in parameters if matrix.dim() >= 2)
