"""An ONNX file as a model: what it takes, which files it is made of, and whether we may load them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.model.child import run_child
from autotune.model.digests import digest_files
from autotune.model.folders.positions import longest_sequence, skipped_rows, trained_length
from autotune.model.folders.sentence_modules import SentenceModules
from autotune.model.folders.stand_ins import refuse_stand_in
from autotune.model.inputs import ElementType, InputsDescription, reading_texts, reserved_ids
from autotune.model.onnx.messages import (
    GraphContents,
    GraphValue,
    ReadGraph,
    contents_from_json,
    read_graph_to_json,
)
from autotune.model.onnx.places import config_beside, weights_file
from autotune.model.onnx.sentence import left_out_of, may_have_modules, modules_folder, read_onnx_modules
from autotune.spec.model_source import ArrayKind, Head

USUAL_ARRAYS: Mapping[str, ArrayKind] = {
    "input_ids": "tokens",
    "attention_mask": "ones",
    "token_type_ids": "zeros",
    "position_ids": "positions",
    **{"input_word_ids": "tokens", "input_mask": "ones", "input_type_ids": "zeros", "segment_ids": "zeros"},
}
"""What inputs of these names hold, as transformers, TensorFlow Hub and the first BERT call them."""

OF_DECODERS = (
    "past_key_values",
    "encoder_hidden_states",
    "decoder_input_ids",
    "cache_position",
    "use_cache_branch",
)
"""How names of inputs begin that decoders alone have. Source: transformers, optimum."""

WHOLE_NUMBERS: Mapping[str, ElementType] = {"INT64": "int64", "INT32": "int32"}
ELEMENT_TYPES: Mapping[str, ElementType] = {**WHOLE_NUMBERS, "FLOAT": "float32", "BOOL": "bool"}
"""Of inputs; token ids and positions are whole numbers: of the others are masks and segments alone."""

READ_TIMEOUT_S = 300.0

AS_FP32: Mapping[str, str] = {
    "FLOAT16": "fp16, widened to fp32, which changes none of them",
    "BFLOAT16": "bf16, widened to fp32, which changes none of them",
    "DOUBLE": "fp64, rounded to fp32",
}
"""What is made of weights by element type."""


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX model that may be loaded.

    Attributes:
        digest: hex SHA-256 over the file, the files that hold its weights, what its inputs are given, and its
            configuration.
        weights: how many numbers its matrices hold.
        notes: in what it is served otherwise than it is stored, as sentences.
        modules: what is served behind its graph; None where its first output is.
    """

    digest: str
    inputs: InputsDescription
    weights: int = 0
    notes: tuple[str, ...] = ()
    modules: SentenceModules | None = None


def read_onnx_file(file: Path, arrays: Mapping[str, ArrayKind], head: Head | None = None) -> OnnxFile:
    """Read what the model takes and take its digest; a child process looks into it.

    A `config.json` beside it, or above its folder `onnx`, tells special tokens and classes, and the longest
    sequence where the graph's own tables do not. A link is looked at where it lies, not where it leads to.

    Args:
        arrays: what the inputs hold, by name, as the study says; the usual names need not be in it.
        head: what is served of a file of sentence-transformers, where the study says so.

    Raises:
        ModelError: it is not an ONNX model, takes something else than `(batch, tokens)` of whole numbers, has
            weights that are not there, not all there, or lie outside of its folder, or modules that are not
            served.
    """
    try:
        graph = _inspect(file, infers=may_have_modules(file, head))
        external = [weights_file(file, name, least) for name, least in sorted(graph.external.items())]
        config = config_beside(file)
        inputs = _describe(file, graph, arrays, config)
        files = digest_files([file, *external])
        modules = read_onnx_modules(file, graph.outputs, head)
        served = None if modules is None else modules.digest(modules_folder(file))
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error
    taken = {name: value for name, value in asdict(inputs).items() if name != "trained_length"}
    content: dict[str, Any] = {"files": files, "inputs": taken}
    if config:
        content["config"] = config
    if served is not None:
        content["served"] = served
    text = json.dumps(content, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    left_out = left_out_of(file, graph.outputs, head) if modules is None else ()
    reading = inputs if modules is None else reading_texts(inputs, modules)
    notes = (*_notes(graph.weights), *left_out)
    return OnnxFile(digest, reading, sum(graph.weights.values()), notes, modules)


def _notes(weights: Mapping[str, int]) -> Iterator[str]:
    stored = [AS_FP32[kind] for kind in weights if kind in AS_FP32]
    if stored:
        yield f"its weights are {' and '.join(stored)}; every precision is made from these"


def _inspect(file: Path, *, infers: bool) -> GraphContents:
    if not file.is_file():
        raise _not_a_file(file)
    refuse_stand_in(file)
    request = read_graph_to_json(ReadGraph(file, infers))
    result = run_child("autotune.model.onnx.child", request, timeout_s=READ_TIMEOUT_S)
    result.raise_error()
    if result.reply is None:
        raise ModelError(
            f"{file} cannot be read as an ONNX model: {result.last_words() or 'the reader ended'}",
            remedy="check that it is one, that it can be read, and that there is memory for it",
        )
    return contents_from_json(result.reply)


def _not_a_file(file: Path) -> ModelError:
    """Why it is none; of a folder, which files it has."""
    here = sorted((*file.glob("*.onnx"), *file.glob("onnx/*.onnx"))) if file.is_dir() else []
    remedy = "onnx: takes the file of an ONNX model"
    if file.is_symlink():
        return ModelError(
            f"{file} is a link to a file that is not there ({file.readlink()}), as after half a download",
            remedy="download the whole model again, or put the link right",
        )
    if here:
        remedy = f"name the file: onnx:{here[0]}"
    elif (file / "config.json").is_file():
        remedy = f"for a transformers model folder write path:{file}"
    return ModelError(f"{file} is not a file", remedy=remedy)


def _describe(
    file: Path, graph: GraphContents, given: Mapping[str, ArrayKind], config: Mapping[str, Any]
) -> InputsDescription:
    """What the graph takes.

    Raises:
        ModelError: not what autotune makes.
    """
    inputs = {taken.name: taken for taken in graph.inputs}
    _refuse_unknown(file, given, inputs)
    for taken in graph.inputs:
        _refuse_other_arrays(file, taken)
    arrays = {name: _kind(file, name, given) for name in inputs}
    for name, kind in arrays.items():
        if kind in ("tokens", "positions") and inputs[name].type not in WHOLE_NUMBERS:
            raise _not_whole(file, inputs[name])
    vocabulary = _vocabulary(file, arrays, graph.vocabularies, config)
    shapes = [taken.shape or () for taken in graph.inputs]
    return InputsDescription(
        vocabulary=vocabulary,
        reserved=reserved_ids(config, (), vocabulary),
        max_sequence_length=_longest(graph.positions, config),
        trained_length=trained_length(config),
        first_position=skipped_rows(config),
        arrays=arrays,
        types={name: ELEMENT_TYPES[taken.type] for name, taken in inputs.items() if taken.type != "INT64"},
        batch_size=_fixed(file, "batch sizes", (shape[0] for shape in shapes)),
        sequence_length=_fixed(file, "sequence lengths", (shape[1] for shape in shapes)),
    )


def _longest(in_graph: tuple[int, int] | None, config: Mapping[str, Any]) -> int | None:
    """The most tokens: as many as the graph has positions for; where it has no table, as config.json says."""
    if in_graph is None:
        return longest_sequence(config)
    most, skipped = in_graph
    return most - max(0, skipped_rows(config) - skipped)


def _refuse_unknown(file: Path, given: Mapping[str, ArrayKind], inputs: Mapping[str, GraphValue]) -> None:
    for name in given:
        if name not in inputs:
            raise ModelError(
                f"{file} has no input {name!r}, which the study's `inputs` names",
                remedy=f"its inputs are {', '.join(inputs) or 'none'}",
            )


def _kind(file: Path, name: str, given: Mapping[str, ArrayKind]) -> ArrayKind:
    kind = given.get(name) or USUAL_ARRAYS.get(name.removesuffix(":0"))
    if kind is None:
        raise ModelError(
            f"{file} has an input {name!r}, and nothing says what it holds",
            remedy=f"write `inputs: {{{name!r}: tokens}}` into the study, or ones, zeros, or positions",
        )
    return kind


def _refuse_other_arrays(file: Path, described: GraphValue) -> None:
    name, shape = described.name, described.shape or ()
    if name.startswith(OF_DECODERS):
        raise ModelError(
            f"{file} has an input {name!r}: it is a decoder, and autotune serves encoders",
            remedy="choose an encoder, or export the encoder alone",
        )
    if described.type not in ELEMENT_TYPES:
        raise _not_whole(file, described)
    if len(shape) != 2:
        raise ModelError(
            f"input {name!r} of {file} has {len(shape)} dimensions, not the two of (batch, tokens)",
            remedy="export the encoder so that each input is an array (batch, tokens)",
        )


def _not_whole(file: Path, described: GraphValue) -> ModelError:
    return ModelError(
        f"input {described.name!r} of {file} is of type {described.type.lower()}, not of whole numbers",
        remedy="export the encoder so that its inputs are int64 or int32, as token ids are",
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
