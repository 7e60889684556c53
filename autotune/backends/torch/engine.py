"""What the engines that compute with torch share: their precisions, the gates of these, and their threads."""

from __future__ import annotations

import gc
import importlib.util
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autotune.spec.configuration import Precision
from autotune.spec.model_kind import MODEL_KINDS

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of x86 (first two) and Arm cpus that multiply bf16; without one it runs several times slower
than fp32."""

TORCH_DTYPES: Mapping[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "int8-dynamic": "float32"}
"""What a model is loaded as; int8 is quantised from fp32."""

OFFLINE_AND_QUIET: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""Environment of processes that import transformers: a prepared model needs no network."""

_PRECISION_NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
_QUANTIZED_NAMES = {"int8": "int8-dynamic", "qint8": "int8-dynamic"}


def refuse_model(engine: str, model_kind: str) -> str | None:
    """Why the engine runs no model of this kind; None if it does."""
    if MODEL_KINDS[model_kind].is_formula:
        return f"{engine} runs real models; a fake one runs in the fake backend"
    if MODEL_KINDS[model_kind].is_graph:
        return f"{engine} runs transformers models; onnxruntime and openvino run ONNX files"
    return None


def refuse_precision(engine: str, precision: Precision, isa: frozenset[str]) -> str | None:
    """Why a precision of torch is no use on this ISA; None if it is.

    Args:
        isa: flags as in `Machine.isa`.
    """
    if precision not in TORCH_DTYPES:
        return f"{engine} has no {precision}"
    if precision == "bf16" and not isa & BF16_FLAGS:
        return f"this cpu does not multiply bf16 (none of {', '.join(sorted(BF16_FLAGS))})"
    return None


def torch_folder() -> Path | None:
    """Where torch lies; looked up without importing it."""
    found = importlib.util.find_spec("torch")
    return None if found is None or found.origin is None else Path(found.origin).parent


def thread_variables(threads: int) -> Mapping[str, str]:
    """What libgomp and MKL size their pools by when they are loaded; nothing for 0, the default."""
    if threads == 0:
        return {}
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


def quantize_linears(model: Any) -> None:
    """Replace every linear layer by its dynamically quantised int8 one, in place.

    Each row of weights has a scale of its own: more exact than one for the whole matrix, and as fast.
    """
    import torch
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    with warnings.catch_warnings():
        # Eager quantisation announces its end; the supported range of torch versions still has it.
        warnings.simplefilter("ignore")
        quantize_dynamic(model, {torch.nn.Linear: per_channel_dynamic_qconfig}, inplace=True)
    # The modules that were replaced hold their fp32 weights in reference cycles.
    gc.collect()


def prevailing_precision(matrices: Iterable[tuple[Any, int]]) -> str:
    """The precision that most of the weights that are multiplied by have.

    Args:
        matrices: torch's dtype and the count of weights of each.
    """
    sizes: Counter[str] = Counter()
    for dtype, count in matrices:
        sizes[_precision_name(dtype)] += count
    return max(sizes, key=lambda name: sizes[name], default="unknown")


def _precision_name(dtype: Any) -> str:
    name = str(dtype).removeprefix("torch.")
    return _PRECISION_NAMES.get(name) or _QUANTIZED_NAMES.get(name, name)
