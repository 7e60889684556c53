"""The reference of a transformers model: torch's answers at fp32. Runs in a child process."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.reference import (
    CONFIG_FILE,
    NOTES_FILE,
    Answering,
    Request,
    every_request,
    tokens_in_words,
)
from autotune.backends.torch.random_model import write_random_model
from autotune.backends.torch.sentence_model import with_modules, write_modules
from autotune.backends.torch.transformers_model import (
    cannot_load,
    import_checkpoint,
    load_model,
    load_transformer,
)
from autotune.backends.words import first_line
from autotune.errors import ModelError
from autotune.model.folders.neighbours import WHOLE
from autotune.model.folders.sentence_folder import BARE
from autotune.model.inputs import describe_inputs, reading_texts, write_inputs
from autotune.model.sources import ResolvedModel

PACKAGES = ("torch", "transformers", "safetensors")
"""The distributions that decide what it answers."""


def write_transformers(model: ResolvedModel, directory: Path) -> Answering:
    """Write the model's fp32 weights and `inputs.json`, and give what it answers.

    Raises:
        ModelError: torch cannot load the model.
    """
    if model.path is None:
        write_random_model(model.architecture, model.seed, directory)
    else:
        notes = import_checkpoint(model.path, directory, model.class_head)
        (directory / NOTES_FILE).write_text(json.dumps(notes))
    try:
        module = load_transformer(directory, "float32")
    except MemoryError:
        raise
    except Exception as error:
        raise cannot_load(model.source, error) from error
    config = json.loads((directory / CONFIG_FILE).read_bytes())
    parameters = inspect.signature(module.forward).parameters
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    inputs = describe_inputs(config, parameters, _special_ids(model.path), shapes)
    if model.modules is not None and model.path is not None:
        write_modules(model.modules, model.path, directory)
        inputs = reading_texts(inputs, model.modules)
    write_inputs(directory, inputs)
    _require_width(model, _answering(module), directory)
    return _answering(with_modules(module, directory, "float32"))


def open_transformers(directory: Path) -> Answering:
    """Load the finished reference in `directory`."""
    return _answering(load_model(directory, "float32"))


def _require_width(model: ResolvedModel, encoder: Answering, directory: Path) -> None:
    """Refuse modules that are made for another encoder, by what it really answers.

    Raises:
        ModelError: they are.
    """
    if model.modules is None or not model.modules.takes:
        return
    for request in every_request(directory).values():
        try:
            width = encoder(request).shape[-1]
        except ModelError:  # some architectures take no short requests
            continue
        if width != model.modules.takes:
            raise ModelError(
                f"{model.source}: the modules behind its encoder take {model.modules.takes} numbers for each"
                f" token, and it gives {width}",
                remedy=f"{WHOLE}: its files are of two models; or {BARE}",
            )
        return


def _answering(module: Any) -> Answering:
    import torch

    def answer(request: Request) -> np.ndarray[Any, Any]:
        tensors = {name: torch.from_numpy(array) for name, array in request.items()}
        try:
            with torch.inference_mode():
                output: np.ndarray[Any, Any] = module(**tensors)[0].numpy()
        except MemoryError:
            raise
        except Exception as error:
            raise ModelError(
                f"the model does not run on a request of {tokens_in_words(request)} tokens,"
                f" given {', '.join(request)} alone: {first_line(error)}",
                remedy="ask for requests that it takes (problem.batch_size, sequence_length or lengths), or"
                " choose an encoder of text",
            ) from error
        return output

    return answer


def _special_ids(source: Path | None) -> list[int]:
    """Ids that the tokenizer beside the model marks as special; none where there is no tokenizer.json."""
    if source is None or not (source / "tokenizer.json").is_file():
        return []
    try:
        tokens = json.loads((source / "tokenizer.json").read_bytes()).get("added_tokens", [])
        return [int(token["id"]) for token in tokens if token.get("special")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
