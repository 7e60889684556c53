"""A transformers folder: which of its files decide the model's outputs, and whether we may load them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.digests import digest_files

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
SAVE_REMEDY = "save it again with transformers: model.save_pretrained(DIR), which writes safetensors"
MAX_HEADER_BYTES = 100_000_000
"""Source: safetensors, MAX_HEADER_SIZE."""
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def folder_digest(directory: Path) -> str:
    """Digest of the configuration and weights of a transformers folder that may be loaded.

    Raises:
        ModelError: it is not such a folder, has no safetensors weights, or needs code of its own.
    """
    try:
        config = _read_config(directory)
        _refuse_foreign_code(directory, config)
        weights = weight_files(directory)
        for file in weights:
            if file.suffix == ".safetensors":
                _refuse_damaged(file)
        return digest_files([directory / "config.json", *weights])
    except OSError as error:
        raise ModelError(
            f"{directory} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error


def _read_config(directory: Path) -> dict[str, Any]:
    if not directory.is_dir():
        raise ModelError(f"{directory} is not a folder", remedy="path: takes a transformers model folder")
    file = directory / "config.json"
    if not file.is_file():
        raise ModelError(f"{directory} has no config.json", remedy=SAVE_REMEDY)
    return _read_object(file)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not JSON: {error}", remedy=SAVE_REMEDY) from error
    if not isinstance(value, dict):
        raise ModelError(f"{file} is not a JSON object", remedy=SAVE_REMEDY)
    return value


def _refuse_foreign_code(directory: Path, config: dict[str, Any]) -> None:
    if config.get("auto_map"):
        raise ModelError(
            f"{directory} needs code of its own (auto_map in config.json), which autotune never runs",
            remedy="use a model whose architecture is part of transformers",
        )
    if not isinstance(config.get("model_type"), str):
        raise ModelError(f"{directory / 'config.json'} names no model_type", remedy=SAVE_REMEDY)
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{directory} is an encoder-decoder ({config['model_type']}); autotune serves encoders",
            remedy="save its encoder alone, or choose an encoder",
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
    pickles = sorted(file.name for file in directory.iterdir() if file.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise ModelError(
            f"{directory} has its weights only as a pickle ({pickles[0]}), which can run code when loaded",
            remedy=SAVE_REMEDY,
        )
    raise ModelError(f"{directory} has no {WEIGHTS}", remedy=SAVE_REMEDY)


def _shards(directory: Path) -> list[Path]:
    index = directory / WEIGHTS_INDEX
    weight_map = _read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} has no weight_map", remedy=SAVE_REMEDY)
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index} names {name!r}, not a safetensors file beside it", remedy=SAVE_REMEDY)
        if not (directory / name).is_file():
            raise ModelError(f"{directory} lacks {name}, which {WEIGHTS_INDEX} names", remedy=SAVE_REMEDY)
    return [directory / name for name in names]


def _refuse_damaged(file: Path) -> None:
    """Refuse a safetensors file whose length is not what its header says, such as half a download.

    Source: the safetensors format: 8 bytes of header length, little-endian; the header, JSON; the tensors.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= min(size, MAX_HEADER_BYTES) else b""
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(f"{file} is not a safetensors file", remedy=SAVE_REMEDY) from error
    if whole != size:
        raise ModelError(
            f"{file} is damaged: it has {size} bytes, its header speaks of {whole}",
            remedy="copy or download it again",
        )
