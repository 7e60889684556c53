"""A transformers folder: which of its files decide the model's outputs, and whether we may load them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.digests import digest_files
from autotune.model.folders.heads import named_class, refuse_unmeant_head
from autotune.model.folders.neighbours import (
    ADAPTER,
    SAVE_REMEDY,
    WHOLE,
    further_modules,
    no_configuration,
    no_weights,
    refuse_adapter,
    refuse_file,
)
from autotune.model.folders.quantised import refuse_quantised, refuse_quantised_weights
from autotune.model.folders.safetensors_file import SUFFIX, stored_tensors
from autotune.model.folders.sentence_folder import read_sentence_modules, unlisted_pooling, width_of
from autotune.model.folders.sentence_modules import SentenceModules
from autotune.model.folders.stand_ins import read_json
from autotune.spec.model_source import Head

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"

ENCODER_ALONE = "EncoderModel"
"""How transformers ends the names of classes that are the encoder of an encoder-decoder: T5EncoderModel."""

CPU_ATTENTION = ("eager", "sdpa")
"""What transformers computes attention with on CPUs. Source: transformers, AttentionInterface."""


@dataclass(frozen=True)
class ModelFolder:
    """A transformers folder that may be loaded.

    Attributes:
        digest: hex SHA-256 of its configuration and weights.
        notes: in what it is served otherwise than its configuration asks for, as sentences.
        modules: what is served beside its encoder; None where that, or its class with its head, is all.
    """

    digest: str
    notes: tuple[str, ...] = ()
    modules: SentenceModules | None = None


def read_folder(directory: Path, head: Head | None = None) -> ModelFolder:
    """Make sure that a transformers folder may be loaded, and take its digest.

    Args:
        head: what of it is served, where the study says so.

    Raises:
        ModelError: it is not such a folder, has no safetensors weights, is quantised, has a head that may not
            be meant or modules that are not served, or a decoder; with what helps for a folder of its kind.
    """
    try:
        config = _read_config(directory)
        _refuse_decoder(directory, config)
        refuse_quantised(directory, config)
        modules = read_sentence_modules(directory, head, width_of(config))
        if modules is None:
            refuse_unmeant_head(directory, config, head)
        weights = weight_files(directory)
        tensors = stored_tensors(file for file in weights if file.suffix == SUFFIX)
        refuse_quantised_weights(directory, tensors)
        digest = digest_files([directory / "config.json", *weights])
        served = "none" if head == "none" else None if modules is None else modules.digest(directory)
        return ModelFolder(_digest_of(digest, served), tuple(_notes(directory, config, head)), modules)
    except OSError as error:
        raise ModelError(
            f"{directory} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error


def _digest_of(files: str, served: str | None) -> str:
    """The files' own digest where the class that they name is served as it is.

    Args:
        served: else, what is served of them.
    """
    return files if served is None else hashlib.sha256(f"{files}\nhead: {served}".encode()).hexdigest()


def _read_config(directory: Path) -> dict[str, Any]:
    if not directory.is_dir():
        refuse_file(directory)
        raise ModelError(f"{directory} is not a folder", remedy="path: takes a transformers model folder")
    refuse_adapter(directory)
    file = directory / "config.json"
    if not file.is_file():
        raise no_configuration(directory, f"{directory} has no config.json")
    config = _read_object(file)
    if not isinstance(config.get("model_type"), str):
        raise no_configuration(directory, f"{file} names no model_type")
    return config


def _read_object(file: Path) -> dict[str, Any]:
    value = read_json(file, SAVE_REMEDY)
    if not isinstance(value, dict):
        raise ModelError(f"{file} is not a JSON object", remedy=SAVE_REMEDY)
    return value


def _notes(directory: Path, config: dict[str, Any], head: Head | None) -> Iterator[str]:
    """In what the model is served otherwise than its configuration asks for."""
    other = sorted({name for name in _attentions(config) if name not in CPU_ATTENTION})
    if other:
        yield (
            f"config.json asks for {', '.join(other)}, which CPUs do not have: served is the attention that"
            f" transformers chooses for them ({' or '.join(reversed(CPU_ATTENTION))})"
        )
    yield from unlisted_pooling(directory, head)
    if head == "none" and (behind := further_modules(directory)):
        yield (
            f"modules.json puts {', '.join(behind)} behind the encoder, which is not served: the encoder is"
            " measured alone"
        )


def _attentions(config: dict[str, Any]) -> Iterator[str]:
    """The implementations that a configuration, or a part of it, asks for."""
    for key, value in config.items():
        if key in ("attn_implementation", "_attn_implementation"):
            yield from (
                str(name) for name in (value.values() if isinstance(value, dict) else [value]) if name
            )
        elif isinstance(value, dict):
            yield from _attentions(value)


def _refuse_decoder(directory: Path, config: dict[str, Any]) -> None:
    """Refuse an encoder-decoder, unless the class that is named is its encoder alone.

    Raises:
        ModelError: it is one.
    """
    named = named_class(config) or ""
    if config.get("is_encoder_decoder") and not named.endswith(ENCODER_ALONE):
        raise ModelError(
            f"{directory} is an encoder-decoder ({', '.join(filter(None, (config['model_type'], named)))});"
            " autotune serves encoders",
            remedy="to serve its encoder, name the class of it under `architectures` in config.json, such as"
            " T5EncoderModel or MT5EncoderModel, where transformers has one; or choose an encoder",
        )


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a transformers folder, a sharded one's index first.

    Raises:
        ModelError: it has none, lacks a shard, or has pickles only.
    """
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / WEIGHTS_INDEX).is_file():
        return [directory / WEIGHTS_INDEX, *_shards(directory)]
    raise no_weights(directory)


def has_weights(directory: Path) -> bool:
    """Whether it has a configuration and safetensors, all shards or not; or is an adapter."""
    if (directory / ADAPTER).is_file():
        return True
    has_file = any((directory / name).is_file() for name in (WEIGHTS, WEIGHTS_INDEX))
    return has_file and (directory / "config.json").is_file()


def _shards(directory: Path) -> list[Path]:
    index = directory / WEIGHTS_INDEX
    weight_map = _read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} has no weight_map", remedy=SAVE_REMEDY)
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(SUFFIX):
            raise ModelError(f"{index} names {name!r}, not a safetensors file beside it", remedy=SAVE_REMEDY)
        if not (directory / name).is_file():
            raise ModelError(f"{directory} lacks {name}, which {WEIGHTS_INDEX} names", remedy=WHOLE)
    return [directory / name for name in names]
