"""Exports transformers models with attention fused by ONNX Runtime's offline optimiser. Runs in a child.

The optimiser knows attention by the pattern of operators that torch's older exporter writes for eager
attention, and by no other; so the graph is not the usual one, which is exported with torch's own attention.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from autotune.backends.onnx.export import quiet, write_by_older_exporter
from autotune.backends.onnx.graph import MODEL_FILE, has_fused_attention, save_model
from autotune.backends.protocol import Session
from autotune.backends.torch import exporting
from autotune.backends.torch.exporting import EAGER, Tracing, Way, Ways
from autotune.backends.torch.positional import positional_model
from autotune.backends.words import first_cause
from autotune.errors import UnsupportedError

PATTERN = "bert"
"""The optimiser's name for encoders. Source: onnxruntime.transformers.optimizer, MODEL_TYPES."""

REMEDY = "leave fusion=on out"


def export_fused(source: Path, directory: Path, load: Callable[[Path], Session]) -> None:
    """Export a prepared transformers folder to ONNX at fp32 with fused attention, its axes left free.

    Args:
        load: what was made, as a worker does.

    Raises:
        UnsupportedError: torch cannot export this architecture, or there is no attention in it that ONNX
            Runtime can fuse, or the result does not follow the model. That of some layers may stay as it
            is: of ALBERT's, the first's.
    """
    way = Way("torch's older exporter and ONNX Runtime's optimiser", partial(_fuse, source), EAGER)
    ways = Ways("onnxruntime with fused attention", (way,), load, remedy=REMEDY)
    exporting.export_model(ways, positional_model(source, "float32"), source, directory)


def _fuse(source: Path, module: Any, tracing: Tracing, folder: Path) -> None:
    import onnx

    with TemporaryDirectory(dir=folder) as area:
        exported = Path(area) / MODEL_FILE
        write_by_older_exporter(source, module, tracing, exported)
        fused = _fused(exported, module.model.config)
    if not has_fused_attention(fused):
        raise UnsupportedError("onnxruntime finds no attention in this architecture that it could fuse")
    if all(one.domain != "com.microsoft" for one in fused.opset_import):
        fused.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    save_model(fused, folder)


def _fused(exported: Path, config: Any) -> Any:
    """The graph with whatever the optimiser has fused in it.

    Raises:
        UnsupportedError: it stumbles over the graph.
    """
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    # 0 has the optimiser look for the number itself.
    heads, width = (getattr(config, name, 0) for name in ("num_attention_heads", "hidden_size"))
    try:
        with quiet():
            optimised = optimize_model(
                str(exported),
                model_type=PATTERN,
                num_heads=heads if isinstance(heads, int) else 0,
                hidden_size=width if isinstance(width, int) else 0,
                optimization_options=FusionOptions(PATTERN),
                opt_level=0,
            ).model
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UnsupportedError(
            f"onnxruntime's optimiser cannot take this architecture: {first_cause(error)}", remedy=REMEDY
        ) from error
    del optimised.graph.value_info[:]
    return optimised
