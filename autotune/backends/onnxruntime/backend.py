"""ONNX Runtime on its CPU provider: fp32, quantised to int8, and with weights alone in fewer bits."""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.onnx.graph import MODEL_FILE, PRECISION_KEY, copy_model
from autotune.backends.onnxruntime.fastmath import BF16_FLAG, BF16_OPTION, derive_bf16
from autotune.backends.onnxruntime.knobs import in_force, read_knobs, turn
from autotune.backends.protocol import Derivation, EngineReport, Session, Shape, StatedTimes
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs
from autotune.spec.model_kind import MODEL_KINDS, MODULE_KINDS

if TYPE_CHECKING:
    import numpy as np

    from autotune.model.sources import ResolvedModel


class OnnxRuntimeBackend:
    """Models exported to ONNX once, with free batch size and sequence length; and ONNX files as they are."""

    name: ClassVar[str] = "onnxruntime"
    precisions: ClassVar[tuple[Precision, ...]] = (
        *("fp32", "bf16", "int8-dynamic", "int8-static", "int8-weights", "int4-weights"),
    )
    documented: ClassVar[tuple[Precision, ...]] = ("fp32", "int8-dynamic")
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnx", "onnxscript", "torch", "transformers")
    loads_with: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    install_hint: ClassVar[str] = "pip install onnxruntime onnx onnxscript torch transformers"
    derived: ClassVar[Mapping[Precision, Precision]] = dict.fromkeys(precisions[1:], "fp32")
    calibrated: ClassVar[frozenset[Precision]] = frozenset({"int8-static"})
    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]] = read_knobs(precisions)
    times: ClassVar[StatedTimes] = StatedTimes({"fp32": 8.5, "int8-dynamic": 1.5, "int8-static": 6.0})
    kinds_with_knobs: ClassVar[frozenset[str]] = MODULE_KINDS

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        if MODEL_KINDS[model_kind].is_formula:
            return "onnxruntime runs real models; a fake one runs in the fake backend"
        if precision == "fp16":
            return "onnxruntime's CPU provider casts fp16 to fp32 and multiplies that"
        if precision not in self.precisions:
            return f"onnxruntime has no {precision} on its CPU provider"
        if precision == "bf16" and BF16_FLAG not in isa:
            return f"onnxruntime multiplies bf16 on Arm cpus that have it alone (flag {BF16_FLAG})"
        return None

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`; NumPy's pool would only lie idle beside the engine's."""
        return {"OPENBLAS_NUM_THREADS": "1"}

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`."""
        assert model.path is not None
        if model.traits.is_graph:
            copy_model(model.path.parent, directory)
        else:
            self.prepare_for(model, precision, (), directory)

    def prepare_for(
        self, model: ResolvedModel, precision: Precision, shapes: Sequence[Shape], directory: Path
    ) -> None:
        """See `ExportsForShapes.prepare_for`."""
        from autotune.backends.onnx.export import export_model

        assert model.path is not None
        export_model(model.path, directory, shapes, self._load_export)

    def _load_export(self, directory: Path) -> Session:
        return self.load(directory, "fp32", threads=1)

    def prepare_with(self, model: ResolvedModel, precision: Precision, knobs: Knobs, directory: Path) -> None:
        """See `PreparesKnobs.prepare_with`; the knob is `fusion=on`."""
        from autotune.backends.onnxruntime.fusion import export_fused

        assert model.path is not None
        export_fused(model.path, directory, self._load_export)

    def derive(self, derivation: Derivation, directory: Path) -> None:
        """See `DerivesPrecisions.derive`."""
        from autotune.backends.onnxruntime.quantize import quantize_model

        if derivation.precision == "bf16":
            derive_bf16(derivation.base, directory)
        else:
            quantize_model(derivation, directory)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
        return self.load_with(directory, precision, threads, {})

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """See `TakesKnobs.load_with`."""
        import onnxruntime

        options = self.session_options(precision, threads, knobs)
        before = _count_threads()
        session = onnxruntime.InferenceSession(
            directory / MODEL_FILE, options, providers=["CPUExecutionProvider"]
        )
        # The pool is the calling thread and those that the session started.
        return OnnxRuntimeSession(session, threads=1 + _count_threads() - before)

    def session_options(self, precision: Precision, threads: int, knobs: Knobs) -> Any:
        """See `MakesOptions.session_options`; gives an `onnxruntime.SessionOptions`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _default_threads()
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        turn(knobs, options)
        if precision == "bf16":
            options.add_session_config_entry(BF16_OPTION, "1")
        return options


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
        """See `Session.report`; precision and fusion stand in the model, read from its graph when made."""
        import onnxruntime

        stated = self._session.get_modelmeta().custom_metadata_map
        return EngineReport(
            engine="onnxruntime",
            version=onnxruntime.__version__,
            precision=stated.get(PRECISION_KEY, "unknown"),
            threads=self._threads,
            knobs=in_force(self._session.get_session_options(), stated),
        )

    def close(self) -> None:
        """See `Session.close`."""
        self._session = None


def _default_threads() -> int:
    """ONNX Runtime's own choice, which is 0: a thread for each core of the host, pinned to it.

    Where the process may not use all of them, it would pin threads there all the same; then one thread for
    each cpu that it may use.
    """
    allowed = os.sched_getaffinity(0)
    return 0 if _cpus_that_run() <= allowed else len(allowed)


def _cpus_that_run() -> set[int]:
    """The host's online cpus by their own folders: their list may be a container's alone (lxcfs)."""
    folders = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology")
    return {int(folder.parent.name.removeprefix("cpu")) for folder in folders}


def _count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
