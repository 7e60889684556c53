"""How large a model is, as far as its configuration and its files tell without loading it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.architectures import ARCHITECTURES
from autotune.model.folders.folder import weight_files
from autotune.model.onnx.places import config_beside
from autotune.model.sources import ResolvedModel

WIDTH = ("hidden_size", "dim", "d_model")
LAYERS = ("num_hidden_layers", "n_layers", "num_layers")
INNER_WIDTH = ("intermediate_size", "hidden_dim", "d_ff")
"""What configurations call these. Source: config.json of BERT, DistilBERT and T5."""

USUAL_RATIO = 4
"""Of the inner width to the width, where a configuration does not say. Source: BERT, DistilBERT, RoBERTa."""


def multiplications(model: ResolvedModel) -> float | None:
    """How many one token takes in the layers' matrix products; None where no configuration tells.

    What grows with the sequence (attention itself) is left out.

    Source: J. Kaplan et al., Scaling Laws for Neural Language Models, 2020, table 1: per layer 3 w w for
    queries, keys and values, w w for their projection, and 2 w f for the feed-forward part.
    """
    config = configuration(model)
    layers, width = _first(config, LAYERS), _first(config, WIDTH)
    if layers is None or width is None:
        return None
    inner = _first(config, INNER_WIDTH) or USUAL_RATIO * width
    return float(layers * (4 * width * width + 2 * width * inner))


def least_activations(model: ResolvedModel) -> float | None:
    """How many numbers a token of a request takes at least while it is computed; None where nothing tells.

    The inner ones of a layer and its input, which is added to what comes of them: no engine computes one
    without holding the other, unless a configuration asks for chunks of tokens. Attention, whose scores some
    engines never hold, is left out. An ONNX file need not be what the configuration beside it says.
    """
    config = configuration(model)
    if model.traits.is_graph or config.get("chunk_size_feed_forward"):
        return None
    width = _first(config, WIDTH)
    inner = _first(config, INNER_WIDTH)
    return None if width is None or inner is None else float(width + inner)


VOCABULARY = ("vocab_size",)


def fp32_bytes(model: ResolvedModel) -> float | None:
    """About how large its weights are at fp32: layers and the table of tokens; None where nothing tells."""
    layers, config = multiplications(model), configuration(model)
    if layers is None:
        return None
    tokens, width = _first(config, VOCABULARY) or 0, _first(config, WIDTH) or 0
    return 4.0 * (layers + tokens * width)


def least_weights(model: ResolvedModel) -> float | None:
    """How many weights it has at least; None where nothing tells.

    The smaller of two counts: layers may share weights, of which the configuration does not tell, and files
    may hold weights that are not used.
    """
    by_configuration = fp32_bytes(model)
    counts = (None if by_configuration is None else by_configuration / 4, _weights_in_files(model))
    return min((count for count in counts if count), default=None)


def _weights_in_files(model: ResolvedModel) -> float | None:
    """The weights in a model's files; None where they cannot be counted."""
    if model.weights is not None:
        return float(model.weights)
    if model.path is None or model.traits.is_formula:
        return None
    try:
        files = [file for file in weight_files(model.path) if file.suffix == ".safetensors"]
        return float(sum(map(_elements, files)))
    except (OSError, ModelError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _elements(file: Path) -> int:
    """How many numbers a safetensors file has. Source: as in `autotune.model.folders.folder`."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(min(length, file.stat().st_size)))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def configuration(model: ResolvedModel) -> Mapping[str, Any]:
    """What is known of the model's shape without loading it; may be empty."""
    if not model.traits.has_files:
        return ARCHITECTURES[model.architecture].config
    if model.path is None or model.traits.is_formula:
        return {}
    if model.traits.is_graph:
        return config_beside(model.path)
    try:
        config = json.loads((model.path / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    values = (config.get(name) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), None)
