"""The reference of a model: its weights at fp32 in one place, what it takes, and what it should answer.

Every engine's artifact is made from the reference and compared with it. Runs in a child process.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.random_model import write_random_model
from autotune.backends.transformers_model import import_checkpoint, load_model
from autotune.errors import ModelError
from autotune.model.agreement import REFERENCE_SEED, REFERENCE_SHAPES
from autotune.model.inputs import describe_inputs, make_inputs, read_inputs, write_inputs
from autotune.model.sources import ResolvedModel

REFERENCE = "reference"
"""Stands in the place of the backend where a reference is named."""
REFERENCE_PACKAGES = ("torch", "transformers", "safetensors")
OUTPUTS_FILE = "reference.npz"


def write_reference(model: ResolvedModel, directory: Path) -> None:
    """Write the model's fp32 weights, `inputs.json` and reference outputs into the empty `directory`.

    Raises:
        ModelError: transformers cannot load the model, or it does not run on token ids alone.
    """
    if model.path is None:
        write_random_model(model.architecture, model.seed, directory)
    else:
        import_checkpoint(model.path, directory)
    module = load_model(directory, "float32")
    config = json.loads((directory / "config.json").read_bytes())
    parameters = inspect.signature(module.forward).parameters
    write_inputs(directory, describe_inputs(config, parameters, _special_ids(model.path)))
    _write_outputs(model, module, directory)


def reference_requests(directory: Path) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The requests that engines are compared on, for a model whose `inputs.json` is in `directory`."""
    longest = read_inputs(directory).max_sequence_length
    return [
        make_inputs(directory, batch, min(tokens, longest or tokens), REFERENCE_SEED)
        for batch, tokens in REFERENCE_SHAPES
    ]


def read_reference_outputs(directory: Path) -> list[np.ndarray[Any, Any]]:
    """What the reference answered to `reference_requests`."""
    with np.load(directory / OUTPUTS_FILE, allow_pickle=False) as stored:
        return [stored[name] for name in sorted(stored.files)]


def _write_outputs(model: ResolvedModel, module: Any, directory: Path) -> None:
    import torch

    outputs: dict[str, np.ndarray[Any, Any]] = {}
    for index, request in enumerate(reference_requests(directory)):
        tensors = {name: torch.from_numpy(array) for name, array in request.items()}
        try:
            with torch.inference_mode():
                outputs[f"output_{index}"] = module(**tensors)[0].numpy()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"{model.source} does not run on {', '.join(request)} alone: {error}",
                remedy="choose an encoder of text",
            ) from error
    if not all(np.isfinite(output).all() for output in outputs.values()):
        raise ModelError(
            f"{model.source} answers with numbers that are not finite, even at fp32",
            remedy="check its weights",
        )
    np.savez(directory / OUTPUTS_FILE, allow_pickle=False, **outputs)


def _special_ids(source: Path | None) -> list[int]:
    """Ids that the tokenizer beside the model marks as special; none where there is no tokenizer.json."""
    if source is None or not (source / "tokenizer.json").is_file():
        return []
    try:
        tokens = json.loads((source / "tokenizer.json").read_bytes()).get("added_tokens", [])
        return [int(token["id"]) for token in tokens if token.get("special")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
