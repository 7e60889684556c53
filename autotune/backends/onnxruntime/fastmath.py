"""bf16 in ONNX Runtime: an option under which its kernels for Arm multiply fp32 weights as bf16."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.backends.onnx.graph import MODEL_FILE, copy_model, state_precision
from autotune.errors import UnsupportedError

if TYPE_CHECKING:
    import numpy as np

BF16_FLAG = "bf16"
"""As in /proc/cpuinfo on Arm; on x86-64 the flags that say so have other names."""

BF16_OPTION = "mlas.enable_gemm_fastmath_arm64_bfloat16"
"""Source: ONNX Runtime, onnxruntime_session_options_config_keys.h; read on Arm64 Linux alone."""


def derive_bf16(base: Path, directory: Path) -> None:
    """Write the fp32 model of `base`, to be loaded with `BF16_OPTION`, into the empty `directory`.

    No graph shows what the kernels multiply in, but the answers do: in bf16 they are rounded otherwise.

    Raises:
        UnsupportedError: they are not.
    """
    import numpy

    plain, fast = (_answer(base, is_fast) for is_fast in (False, True))
    if numpy.array_equal(plain, fast):
        raise UnsupportedError(
            "onnxruntime computes this model in fp32 when asked for bf16",
            remedy="leave bf16 out of search.precisions",
        )
    copy_model(base, directory)
    state_precision(directory, "bf16")


def _answer(artifact: Path, is_fast: bool) -> np.ndarray[Any, Any]:
    """The first output for a small request."""
    import onnxruntime

    from autotune.backends.reference import reference_requests

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if is_fast:
        options.add_session_config_entry(BF16_OPTION, "1")
    session = onnxruntime.InferenceSession(artifact / MODEL_FILE, options, providers=["CPUExecutionProvider"])
    answer: np.ndarray[Any, Any] = session.run(None, reference_requests(artifact)[-1])[0]
    return answer
