"""Writes a reduced model: an architecture cut down to a few layers. Runs in a child process."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.backends.reference import CONFIG_FILE
from autotune.backends.torch.sentence_model import write_modules
from autotune.backends.torch.transformers_model import served_class
from autotune.backends.words import first_line
from autotune.errors import UnsupportedError
from autotune.model.architectures import ARCHITECTURES
from autotune.model.calibration import write_requests
from autotune.model.inputs import describe_inputs, make_inputs, nearest_shape, read_inputs, write_inputs
from autotune.model.reduced import VOCABULARY, reduced_layers
from autotune.model.sources import ResolvedModel
from autotune.spec.model_source import Head

SEED = 0
"""Of the random weights, which decide no speed."""

CALIBRATION_REQUESTS = 2
CALIBRATION_TOKENS = 64
"""Of each calibration request at most: scales of random weights say nothing, but their number takes time."""


def write_reduced_model(model: ResolvedModel, shape: tuple[int, int], directory: Path) -> tuple[int, int]:
    """Write `config.json`, `model.safetensors`, `inputs.json` and calibration requests into `directory`.

    The weights are random. A head over the vocabulary becomes smaller with it.

    Args:
        shape: `(batch, tokens)` of the requests to come, which decides how many layers are kept.

    Returns:
        How many layers the reduced model has, and how many the model has.

    Raises:
        UnsupportedError: the architecture cannot be cut down.
    """
    try:
        config, kept, layers = _reduced_configuration(model, shape)
        module = _write_module(config, model.class_head, directory)
    except (AttributeError, ImportError, KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise UnsupportedError(
            f"{model.source} cannot be cut down to a few layers: {first_line(error)}",
            remedy="none is needed: engines are then tried without having been looked at",
        ) from error
    written = json.loads((directory / CONFIG_FILE).read_bytes())
    parameters = inspect.signature(module.forward).parameters
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    write_inputs(directory, describe_inputs(written, parameters, (), shapes))
    if model.modules is not None and model.path is not None:
        write_modules(model.modules, model.path, directory)
    tokens = max(1, min(shape[1], CALIBRATION_TOKENS))
    calibration = nearest_shape(read_inputs(directory), 1, tokens)
    write_requests(
        directory, (make_inputs(directory, *calibration, seed) for seed in range(CALIBRATION_REQUESTS))
    )
    return kept, layers


def _reduced_configuration(model: ResolvedModel, shape: tuple[int, int]) -> tuple[Any, int, int]:
    """The configuration with few layers, how many it has, and how many the model has."""
    whole = _configuration(model)
    layers = whole.num_hidden_layers
    kept = reduced_layers(shape, layers)
    entries = whole.to_dict()
    name = whole.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    if name not in entries:
        raise ValueError(f"the configuration of a {whole.model_type} has no entry {name}")
    cut = {key: _cut(value, layers, kept) for key, value in entries.items()}
    cut |= {name: kept, **_few_tokens(entries)}
    if "num_hidden_groups" in cut:  # of ALBERT, whose layers share their weights in groups
        cut["num_hidden_groups"] = min(cut["num_hidden_groups"], kept)
    config = type(whole).from_dict(cut)
    config.architectures = whole.architectures
    if config.num_hidden_layers != kept:
        raise ValueError(f"the layers of a {whole.model_type} cannot be set")
    return config, kept, layers


def _configuration(model: ResolvedModel) -> Any:
    import transformers

    if model.path is not None:
        return transformers.AutoConfig.from_pretrained(
            model.path, local_files_only=True, trust_remote_code=False, attn_implementation=None
        )
    described = ARCHITECTURES[model.architecture]
    config = transformers.AutoConfig.for_model(described.model_type, **described.config)
    config.architectures = [described.class_name]
    return config


def _cut(value: Any, layers: int, kept: int) -> Any:
    """An entry of the configuration; one with something for each layer loses what the others had."""
    if isinstance(value, list | tuple) and len(value) == layers and layers > 1:
        return list(value[:kept])
    return value


def _few_tokens(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that say how many tokens there are and which are special; those keep a number each."""
    vocabulary = min(VOCABULARY, entries["vocab_size"])
    special = {
        name: value
        for name, value in entries.items()
        if name.endswith("_token_id") and isinstance(value, int) and value >= vocabulary
    }
    places = {value: vocabulary - 1 - place for place, value in enumerate(sorted(set(special.values())))}
    return {"vocab_size": vocabulary, **{name: places[value] for name, value in special.items()}}


def _write_module(config: Any, head: Head | None, directory: Path) -> Any:
    """Write a model of this configuration at fp32."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(SEED)
    model_class = served_class({"architectures": config.architectures}, head)
    if model_class is transformers.AutoModel:
        module = model_class.from_config(config, dtype=torch.float32)
    else:
        module = model_class(config)
    module = module.float().eval()
    if not all(torch.isfinite(weight).all() for weight in module.parameters()):
        raise ValueError("its weights are not all set when it is made anew")
    module.save_pretrained(directory, max_shard_size="1000GB")
    return module
