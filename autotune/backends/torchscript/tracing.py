"""Traces a transformers model and freezes it. Runs in a child process."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from autotune.backends.protocol import Session, Shape
from autotune.backends.torch import exporting
from autotune.backends.torch.engine import TORCH_DTYPES, quantize_linears
from autotune.backends.torch.exporting import EAGER, Tracing, Way, Ways
from autotune.backends.torch.positional import example_inputs, positional_model
from autotune.backends.torchscript.graph import MODEL_FILE
from autotune.model.agreement import LEAST_COSINE, LEAST_COSINE_OF_ROUNDED
from autotune.spec.configuration import Precision


def trace_model(
    source: Path,
    precision: Precision,
    shapes: Sequence[Shape],
    directory: Path,
    load: Callable[[Path], Session],
) -> None:
    """Write a prepared transformers folder as a frozen graph, batch size and sequence length left free.

    Args:
        shapes: of the requests to come; see `exporting.export_model`.
        load: what was made, as a worker does.

    Raises:
        UnsupportedError: torch cannot trace this architecture; in its words.
    """
    module = positional_model(source, TORCH_DTYPES[precision])
    if precision == "int8-dynamic":
        quantize_linears(module)
    trace = partial(_trace, source)
    ways = Ways(
        "torchscript",
        (Way("torch.jit.trace", trace), Way("torch.jit.trace", trace, EAGER)),
        load,
        LEAST_COSINE if precision == "fp32" else LEAST_COSINE_OF_ROUNDED,
    )
    exporting.export_model(ways, module, source, directory, shapes)


def _trace(source: Path, module: Any, tracing: Tracing, folder: Path) -> None:
    """Write the module as a frozen graph."""
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        # Tracing warns of every size that it might fix, and announces its end; its result is checked.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example_inputs(source, tracing.shape), check_trace=False)
        torch.jit.save(torch.jit.freeze(traced), str(folder / MODEL_FILE))
