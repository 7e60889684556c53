"""An ONNX file as a model: what it takes, which files it is made of, and whether we may load them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.child import run_child
from autotune.model.digests import digest_files
from autotune.model.inputs import ElementType, InputsDescription, reserved_ids
from autotune.model.positions import longest_sequence, trained_length
from autotune.model.stand_ins import refuse_stand_in
from autotune.spec.model_source import ArrayKind

USUAL_ARRAYS: Mapping[str, ArrayKind] = {
    "input_ids": "tokens",
    "attention_mask": "ones",
    "token_type_ids": "zeros",
}
"""What inputs of these names hold, as transformers calls them."""

ELEMENT_TYPES: Mapping[str, ElementType] = {"INT64": "int64", "INT32": "int32"}

READ_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX model that may be loaded.

    Attributes:
        digest: hex SHA-256 over the file, the files that hold its weights, what its inputs are given, and its
            configuration.
    """

    digest: str
    inputs: InputsDescription


def read_onnx_file(file: Path, arrays: Mapping[str, ArrayKind]) -> OnnxFile:
    """Read what the model takes and take its digest; a child process looks into it.

    A `config.json` beside it tells the longest sequence, special tokens and classes, if it is there.

    Args:
        arrays: what the inputs hold, by name, as the study says; the usual names need not be in it.

    Raises:
        ModelError: it is not an ONNX model, takes something else than `(batch, tokens)` of whole numbers, or
            has weights that are not there, not all there, or lie outside of its folder.
    """
    try:
        graph = _inspect(file)
        external = [_weights(file, name, least) for name, least in sorted(graph["external"].items())]
        config = config_beside(file)
        inputs = _describe(file, graph, arrays, config)
        files = digest_files([file, *external])
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error
    taken = {name: value for name, value in asdict(inputs).items() if name != "trained_length"}
    content: dict[str, Any] = {"files": files, "inputs": taken}
    if config:
        content["config"] = config
    text = json.dumps(content, sort_keys=True)
    return OnnxFile(hashlib.sha256(text.encode()).hexdigest(), inputs)


def _inspect(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise _not_a_file(file)
    refuse_stand_in(file)
    result = run_child("autotune.model.onnx_child", {"file": str(file)}, timeout_s=READ_TIMEOUT_S)
    result.raise_error()
    if result.reply is None:
        raise ModelError(
            f"{file} cannot be read as an ONNX model: {result.last_words() or 'the reader ended'}",
            remedy="check that it is one, that it can be read, and that there is memory for it",
        )
    return result.reply


def _not_a_file(file: Path) -> ModelError:
    """Why it is none; of a folder, which files it has."""
    here = sorted((*file.glob("*.onnx"), *file.glob("onnx/*.onnx"))) if file.is_dir() else []
    remedy = "onnx: takes the file of an ONNX model"
    if here:
        remedy = f"name the file: onnx:{here[0]}"
    elif (file / "config.json").is_file():
        remedy = f"for a transformers model folder write path:{file}"
    return ModelError(f"{file} is not a file", remedy=remedy)


def _weights(file: Path, location: str, least: int) -> Path:
    """The file that holds weights of the model, which must have so many bytes.

    Raises:
        ModelError: it is too short, as after half a copy; or see `_inside`.
    """
    weights = _inside(file, location)
    refuse_stand_in(weights)
    size = weights.stat().st_size
    if size < least:
        raise ModelError(
            f"{weights} is cut off: it has {size} bytes, and the weights of {file.name} go up to {least}",
            remedy="copy the whole file beside the model again, or export the model again",
        )
    return weights


def _inside(file: Path, location: str) -> Path:
    """The file that holds weights of the model, which must lie in its folder.

    Raises:
        ModelError: it lies elsewhere, also by way of a link, is not there, or has a second name.
    """
    weights = file.parent / location
    if not weights.resolve().is_relative_to(file.parent.resolve()):
        raise ModelError(
            f"{file} has weights outside of its folder, in {location!r}, which autotune never reads",
            remedy="save it again with its external data beside it",
        )
    if not weights.is_file():
        raise ModelError(
            f"{file} lacks {location}, which holds its weights",
            remedy="put the file beside the model, or export the model again",
        )
    if weights.is_symlink() or weights.stat().st_nlink > 1:
        raise ModelError(
            f"{weights} is a link, and onnx reads no weights by way of links",
            remedy="put a copy of the file in its place",
        )
    return weights


def config_beside(file: Path) -> dict[str, Any]:
    """The `config.json` that exporters put beside a model; empty without one."""
    try:
        config = json.loads((file.parent / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _describe(
    file: Path, graph: Mapping[str, Any], given: Mapping[str, ArrayKind], config: Mapping[str, Any]
) -> InputsDescription:
    """What the graph takes.

    Raises:
        ModelError: not what autotune makes.
    """
    inputs = {one["name"]: one for one in graph["inputs"]}
    _refuse_unknown(file, given, inputs)
    arrays = {name: _kind(file, name, given) for name in inputs}
    for one in inputs.values():
        _refuse_other_arrays(file, one)
    vocabulary = _vocabulary(file, arrays, graph["vocabularies"], config)
    shapes = [one["shape"] for one in inputs.values()]
    return InputsDescription(
        vocabulary=vocabulary,
        reserved=reserved_ids(config, (), vocabulary),
        max_sequence_length=longest_sequence(config),
        trained_length=trained_length(config),
        arrays=arrays,
        types={name: ELEMENT_TYPES[one["type"]] for name, one in inputs.items() if one["type"] != "INT64"},
        batch_size=_fixed(file, "batch sizes", (shape[0] for shape in shapes)),
        sequence_length=_fixed(file, "sequence lengths", (shape[1] for shape in shapes)),
    )


def _refuse_unknown(file: Path, given: Mapping[str, ArrayKind], inputs: Mapping[str, Any]) -> None:
    for name in given:
        if name not in inputs:
            raise ModelError(
                f"{file} has no input {name!r}, which the study's `inputs` names",
                remedy=f"its inputs are {', '.join(inputs) or 'none'}",
            )


def _kind(file: Path, name: str, given: Mapping[str, ArrayKind]) -> ArrayKind:
    kind = given.get(name) or USUAL_ARRAYS.get(name)
    if kind is None:
        raise ModelError(
            f"{file} has an input {name!r}, and nothing says what it holds",
            remedy=f"write `inputs: {{{name}: tokens}}` into the study, or ones, or zeros",
        )
    return kind


def _refuse_other_arrays(file: Path, described: Mapping[str, Any]) -> None:
    name, shape = described["name"], described["shape"]
    if described["type"] not in ELEMENT_TYPES:
        raise ModelError(
            f"input {name!r} of {file} is of type {described['type'].lower()}, not of whole numbers",
            remedy="export the encoder so that its inputs are int64 or int32, as token ids are",
        )
    if len(shape) != 2:
        raise ModelError(
            f"input {name!r} of {file} has {len(shape)} dimensions, not the two of (batch, tokens)",
            remedy="export the encoder so that each input is an array (batch, tokens)",
        )


def _fixed(file: Path, what: str, dimensions: Iterable[int | None]) -> int | None:
    """The only value that a dimension may have; None = any."""
    fixed = sorted({dimension for dimension in dimensions if dimension is not None})
    if len(fixed) > 1:
        raise ModelError(
            f"the inputs of {file} have different {what}: {', '.join(map(str, fixed))}",
            remedy="export it so that all inputs have the same shape (batch, tokens)",
        )
    return fixed[0] if fixed else None


def _vocabulary(
    file: Path, arrays: Mapping[str, ArrayKind], rows: Mapping[str, int], config: Mapping[str, Any]
) -> int:
    """How many token ids there are: of the tables that they are looked up in, or as config.json says."""
    tokens = [name for name, kind in arrays.items() if kind == "tokens"]
    if not tokens:
        raise ModelError(
            f"no input of {file} takes token ids",
            remedy="say in the study's `inputs` which one: `NAME: tokens`",
        )
    sizes = [rows[name] for name in tokens if name in rows]
    configured = config.get("vocab_size")
    if not sizes and isinstance(configured, int):
        sizes = [configured]
    if not sizes:
        raise ModelError(
            f"{file} does not show how many token ids there are",
            remedy="put the model's config.json beside it, with vocab_size in it",
        )
    return min(sizes)
