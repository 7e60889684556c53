"""ONNX Runtime on its CPU provider, at fp32 and dynamically quantised to int8."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.onnx_export import MODEL_FILE, PRECISION_KEY, export_model, quantize_model
from autotune.backends.protocol import Derivation, EngineReport, Session
from autotune.spec.configuration import Precision

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel


class OnnxRuntimeBackend:
    """Models exported to ONNX once, with free batch size and sequence length."""

    name: ClassVar[str] = "onnxruntime"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8-dynamic")
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx", "onnxscript", "torch", "transformers")
    install_hint: ClassVar[str] = "pip install onnxruntime onnx onnxscript torch transformers"
    derived: ClassVar[Mapping[Precision, Precision]] = {"int8-dynamic": "fp32"}
    calibrated: ClassVar[frozenset[Precision]] = frozenset()

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        if model_kind == "fake":
            return "onnxruntime runs real models; a fake one runs in the fake backend"
        if precision not in self.precisions:
            return f"onnxruntime has no {precision} on its CPU provider"
        return None

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`; NumPy's pool would only lie idle beside the engine's."""
        return {"OPENBLAS_NUM_THREADS": "1"}

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`."""
        assert model.path is not None
        export_model(model.path, directory)

    def derive(self, derivation: Derivation, directory: Path) -> None:
        """See `DerivesPrecisions.derive`."""
        quantize_model(derivation.base, directory, derivation.isa)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # 0 makes one thread per core of the host and pins each, whatever the process may use.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Optimising here takes a tenth of a second; a graph optimised ahead ran no faster.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        before = _count_threads()
        session = onnxruntime.InferenceSession(
            directory / MODEL_FILE, options, providers=["CPUExecutionProvider"]
        )
        # The pool is the calling thread and those that the session started.
        return OnnxRuntimeSession(session, threads=1 + _count_threads() - before)


class OnnxRuntimeSession:
    """One inference session; see `Session`."""

    def __init__(self, session: Any, threads: int) -> None:
        self._session = session
        self._threads = threads

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """See `Session.run`."""
        output: np.ndarray[Any, Any] = self._session.run(None, dict(inputs))[0]
        return output

    def report(self) -> EngineReport:
        """See `Session.report`; the precision stands in the loaded model, read from its graph when made."""
        import onnxruntime

        stated = self._session.get_modelmeta().custom_metadata_map
        return EngineReport(
            engine="onnxruntime",
            version=onnxruntime.__version__,
            precision=stated.get(PRECISION_KEY, "unknown"),
            threads=self._threads,
        )

    def close(self) -> None:
        """See `Session.close`."""
        self._session = None


def _count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
