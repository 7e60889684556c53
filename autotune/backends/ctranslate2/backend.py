"""CTranslate2: its own encoder, made from the transformers model; hidden states, no task heads.

Where sentence embeddings are served, NumPy makes them of the hidden states, in the measured path.
"""

# The protocol hands every engine more than each needs.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from autotune.backends.openmp.knobs import WAIT_POLICY
from autotune.backends.protocol import EngineReport, Session
from autotune.backends.torch.engine import refuse_model
from autotune.errors import UnsupportedError
from autotune.spec.configuration import Precision
from autotune.spec.knob import Knob
from autotune.spec.knobs import Knobs

if TYPE_CHECKING:
    import numpy as np

    from autotune.backends.sentence_numpy import Behind
    from autotune.model.sources import ResolvedModel

MODEL_FOLDER = "ctranslate2"

COMPUTE_TYPES: Mapping[Precision, str] = {"fp32": "float32", "int8-dynamic": "int8_float32"}
"""On a cpu it computes in no other: bf16 and fp16 are for its GPUs, whatever the cpu can do.

Its int8 has the weights quantised by row when converted, and the activations in every request.
Source: CTranslate2, src/types.cc, mayiuse_bfloat16 and mayiuse_float16; docs/quantization.md.
"""

_PRECISIONS: Mapping[str, Precision] = {name: precision for precision, name in COMPUTE_TYPES.items()}


class CTranslate2Backend:
    """Encoders of the BERT family; each precision is converted on its own, with its weights at their size."""

    name: ClassVar[str] = "ctranslate2"
    precisions: ClassVar[tuple[Precision, ...]] = tuple(COMPUTE_TYPES)
    documented: ClassVar[tuple[Precision, ...]] = ("fp32", "int8-dynamic")
    packages: ClassVar[tuple[str, ...]] = ("ctranslate2", "torch", "transformers")
    loads_with: ClassVar[tuple[str, ...]] = ("ctranslate2",)
    install_hint: ClassVar[str] = "pip install ctranslate2 torch transformers"
    knobs: ClassVar[Mapping[Knob, tuple[Precision, ...]]] = {WAIT_POLICY: precisions}

    def unsupported(self, precision: Precision, isa: frozenset[str], model_kind: str) -> str | None:
        """See `Backend.unsupported`."""
        if precision not in self.precisions:
            return f"ctranslate2 has no {precision} on a cpu"
        return refuse_model(self.name, model_kind)

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`; NumPy's pool would only lie idle beside the engine's."""
        alone = {"OPENBLAS_NUM_THREADS": "1"}
        return {**alone, "OMP_NUM_THREADS": str(threads)} if threads else alone

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`."""
        from autotune.backends.ctranslate2.conversion import convert_model
        from autotune.backends.sentence_model import link_modules
        from autotune.backends.sentence_numpy import refusal

        assert model.path is not None
        if words := refusal(model.path):
            raise UnsupportedError(f"ctranslate2 {words}", remedy="leave ctranslate2 out of search.backends")
        convert_model(model.path, directory / MODEL_FOLDER, COMPUTE_TYPES[precision])
        link_modules(model.path, directory)

    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`.

        Raises:
            UnsupportedError: it computes in no such type here, or not as an encoder; in its own words.
        """
        import ctranslate2

        from autotune.backends.sentence_numpy import Behind

        try:
            encoder = ctranslate2.Encoder(
                str(directory / MODEL_FOLDER),
                device="cpu",
                compute_type=COMPUTE_TYPES[precision],
                inter_threads=1,
                intra_threads=threads,
            )
        except (ValueError, RuntimeError) as error:
            raise UnsupportedError(
                f"ctranslate2 cannot load this model at {precision}: {error}",
                remedy=f"leave ctranslate2 or {precision} out of the study",
            ) from error
        return CTranslate2Session(encoder, Behind(directory))

    def load_with(self, directory: Path, precision: Precision, threads: int, knobs: Knobs) -> Session:
        """See `TakesKnobs.load_with`; it is the process's, which its own copy of libgomp reads."""
        return self.load(directory, precision, threads)


class CTranslate2Session:
    """One encoder, and what is served behind it; see `Session`."""

    def __init__(self, encoder: Any, behind: Behind) -> None:
        import ctranslate2
        import numpy

        self._array = ctranslate2.StorageView.from_array
        self._numpy = numpy
        self._encoder = encoder
        self._behind = behind
        self._threads_at_start = _count_threads()

    def run(self, inputs: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """See `Session.run`; what it answers at padded positions means nothing.

        Raises:
            UnsupportedError: a sequence is masked elsewhere than at its end.
        """
        numpy = self._numpy
        tokens = numpy.ascontiguousarray(inputs["input_ids"], dtype=numpy.int32)
        lengths = self._lengths(tokens, inputs.get("attention_mask"))
        output = self._encoder.forward_batch(
            self._array(tokens),
            lengths=self._array(lengths),
            token_type_ids=_token_types(inputs.get("token_type_ids")),
        )
        answer: np.ndarray[Any, Any] = numpy.asarray(output.last_hidden_state)
        return self._behind.run(answer, lengths) if self._behind else answer

    def _lengths(
        self, tokens: np.ndarray[Any, Any], mask: np.ndarray[Any, Any] | None
    ) -> np.ndarray[Any, Any]:
        """Int32 `(batch,)`: the engine takes how long each sequence is, in place of a mask."""
        numpy = self._numpy
        if mask is None:
            whole: np.ndarray[Any, Any] = numpy.full(len(tokens), tokens.shape[1], dtype=numpy.int32)
            return whole
        lengths: np.ndarray[Any, Any] = mask.sum(axis=1, dtype=numpy.int32)
        if not (mask == (numpy.arange(mask.shape[1]) < lengths[:, None])).all():
            raise UnsupportedError(
                "ctranslate2 takes lengths, and this attention mask hides more than the ends of sequences",
                remedy="pad sequences at their end",
            )
        return lengths

    def report(self) -> EngineReport:
        """See `Session.report`; what computes is the encoder's own thread and those that OpenMP adds to it.

        OpenMP adds them at the first request, and keeps them. Loading may have added some to the calling
        thread, which only waits for the encoder's: these stand idle.
        """
        import ctranslate2

        compute_type = self._encoder.compute_type
        return EngineReport(
            engine="ctranslate2",
            version=ctranslate2.__version__,
            precision=_PRECISIONS.get(compute_type, compute_type),
            threads=1 + _count_threads() - self._threads_at_start,
        )

    def close(self) -> None:
        """See `Session.close`."""
        self._encoder.unload_model()


def _token_types(types: np.ndarray[Any, Any] | None) -> list[list[int]] | None:
    """None, the engine's own zeros, where all are zero: it takes others as lists, which take time to make."""
    return None if types is None or not types.any() else types.tolist()


def _count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
