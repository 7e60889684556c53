"""The reference of a model: its weights at fp32 in one place, what it takes, and what it should answer.

Every engine's artifact is made from the reference and compared with it. Runs in a child process.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.onnx.graph import MODEL_FILE
from autotune.backends.onnx.importing import cannot_import, import_model, not_fp32, reason_of
from autotune.backends.onnx.sentence import serve_behind
from autotune.backends.sentence_model import read_modules, with_modules, write_modules
from autotune.backends.torch.random_model import write_random_model
from autotune.backends.torch.transformers_model import (
    cannot_load,
    import_checkpoint,
    load_model,
    load_transformer,
)
from autotune.backends.words import first_line
from autotune.errors import ModelError
from autotune.model.agreement import LONGER_SHAPES, REFERENCE_SEED, REFERENCE_SHAPES
from autotune.model.exported import only_shapes
from autotune.model.folders.neighbours import WHOLE
from autotune.model.folders.sentence_folder import BARE
from autotune.model.inputs import (
    describe_inputs,
    make_inputs,
    nearest_shape,
    read_inputs,
    reading_texts,
    write_inputs,
)
from autotune.model.onnx.places import config_beside
from autotune.model.onnx.sentence import modules_folder
from autotune.model.sources import ResolvedModel

REFERENCE = "reference"
"""Stands in the place of the backend where a reference is named."""
REFERENCE_PACKAGES = ("torch", "transformers", "safetensors")
OUTPUTS_FILE = "reference.npz"
NOTES_FILE = "notes.json"
CONFIG_FILE = "config.json"
"""What transformers knows of a model; of an ONNX file only where it lies beside it."""

Request = Mapping[str, np.ndarray[Any, Any]]
Answering = Callable[[Request], np.ndarray[Any, Any]]
"""From a request to the first output, first axis = batch."""


def reference_packages(model: ResolvedModel) -> tuple[str, ...]:
    """The distributions that decide what the reference of this model answers."""
    return ("onnxruntime", "onnx") if model.traits.is_graph else REFERENCE_PACKAGES


def reference_path(model: ResolvedModel, directory: Path) -> Path:
    """What engines prepare from, of the reference in `directory`: the folder, or its ONNX file."""
    return directory / MODEL_FILE if model.traits.is_graph else directory


def write_reference(model: ResolvedModel, directory: Path) -> None:
    """Write the model's fp32 weights, `inputs.json` and reference outputs into the empty `directory`.

    Raises:
        ModelError: the engine of the reference cannot load the model, or it does not run on token ids alone.
    """
    answer = _write_transformers(model, directory) if model.inputs is None else _write_onnx(model, directory)
    _write_outputs(model, answer, directory)


def read_notes(directory: Path) -> tuple[str, ...]:
    """What there is to say of the weights of a finished reference, as sentences."""
    file = directory / NOTES_FILE
    return tuple(json.loads(file.read_bytes())) if file.is_file() else ()


def open_reference(directory: Path) -> Answering:
    """The finished reference in `directory`: ONNX Runtime's for an ONNX file, else PyTorch's, at fp32."""
    if (directory / MODEL_FILE).exists():
        return _onnx_answer(directory)
    return _transformers_answer(load_model(directory, "float32"))


def reference_requests(directory: Path) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The requests that engines are compared on, for a model whose `inputs.json` is in `directory`.

    Where its reference's answers are there too, those that it answered; of an artifact that holds for some
    shapes alone, requests of these.
    """
    if alone := only_shapes(directory):
        return [make_inputs(directory, *shape, REFERENCE_SEED) for shape in alone]
    requests = _every_request(directory)
    if not (directory / OUTPUTS_FILE).exists():
        return list(requests.values())[: len(REFERENCE_SHAPES)]
    return [requests[name] for name in sorted(_outputs(directory))]


def read_reference_outputs(directory: Path) -> list[np.ndarray[Any, Any]]:
    """What the reference answered to `reference_requests(directory)`."""
    return [output for _, output in sorted(_outputs(directory).items())]


def _outputs(directory: Path) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(directory / OUTPUTS_FILE, allow_pickle=False) as stored:
        return dict(stored)


def _every_request(directory: Path) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """By the name of the answer to it."""
    description = read_inputs(directory)
    return {
        f"output_{index}": make_inputs(directory, *nearest_shape(description, batch, tokens), REFERENCE_SEED)
        for index, (batch, tokens) in enumerate((*REFERENCE_SHAPES, *LONGER_SHAPES))
    }


def _write_transformers(model: ResolvedModel, directory: Path) -> Answering:
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
    _require_width(model, _transformers_answer(module), directory)
    return _transformers_answer(with_modules(module, directory, "float32"))


def _require_width(model: ResolvedModel, encoder: Answering, directory: Path) -> None:
    """Refuse modules that are made for another encoder, by what it really answers.

    Raises:
        ModelError: they are.
    """
    if model.modules is None or not model.modules.takes:
        return
    for request in _every_request(directory).values():
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


def _transformers_answer(module: Any) -> Answering:
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
                f"the model does not run on a request of {_shape(request)} tokens, given {', '.join(request)}"
                f" alone: {first_line(error)}",
                remedy="ask for requests that it takes (problem.batch_size, sequence_length or lengths), or"
                " choose an encoder of text",
            ) from error
        return output

    return answer


def _write_onnx(model: ResolvedModel, directory: Path) -> Answering:
    """Take the file over, and the configuration beside it.

    Raises:
        ModelError: ONNX Runtime cannot load it, or it is not at fp32.
    """
    assert model.path is not None
    assert model.inputs is not None
    write_inputs(directory, model.inputs)
    config = config_beside(model.path)
    if model.modules is not None:
        write_modules(model.modules, modules_folder(model.path), directory)
        config.pop("architectures", None)  # whose answers are not what is served
    if config:
        (directory / CONFIG_FILE).write_text(json.dumps(config))
    try:
        precision = import_model(model.path, directory, partial(_finish, model, directory))
    except Exception as error:
        if isinstance(error, MemoryError | OSError | ModelError):
            raise
        raise cannot_import(model.source, error) from error
    if precision != "fp32":
        raise not_fp32(model.source, model.path, precision)
    return _onnx_answer(directory)


def _finish(model: ResolvedModel, directory: Path, graph: Any) -> None:
    """Make of an ONNX model what is served: with the modules of `directory` behind it, where it has some."""
    if model.modules is not None and model.inputs is not None:
        serve_behind(graph, model.modules.output, read_modules(directory), model.inputs)


def _onnx_answer(directory: Path) -> Answering:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        directory / MODEL_FILE, options, providers=["CPUExecutionProvider"]
    )

    def answer(request: Request) -> np.ndarray[Any, Any]:
        try:
            output: np.ndarray[Any, Any] = session.run(None, dict(request))[0]
        except Exception as error:
            if isinstance(error, MemoryError | OSError):
                raise
            longest = _longest_that_runs(session, request)
            told = "" if longest is None else f"; it runs on {longest} tokens, and not on {longest + 1}"
            raise ModelError(
                f"the ONNX model does not run on a request of {_shape(request)} tokens:"
                f" {reason_of(error)}{told}",
                remedy=f"choose at most {longest} tokens (problem.sequence_length, or max_length)"
                if longest
                else "ask for requests that it takes (problem.batch_size, sequence_length or lengths)",
            ) from error
        return output

    return answer


def _longest_that_runs(session: Any, request: Request) -> int | None:
    """The length at which requests cease to run, found by halving; None where none runs, or this is no matter
    of length."""
    runs, fails = 0, next(iter(request.values())).shape[1]
    while fails - runs > 1:
        tokens = (runs + fails) // 2
        try:
            session.run(None, {name: array[:, :tokens] for name, array in request.items()})
        except Exception as error:
            if isinstance(error, MemoryError | OSError):
                raise
            fails = tokens
        else:
            runs = tokens
    return runs or None


def _shape(request: Request) -> str:
    return " x ".join(map(str, next(iter(request.values())).shape))


def _write_outputs(model: ResolvedModel, answer: Answering, directory: Path) -> None:
    """Write the answers to the requests that the model takes: some architectures take no short ones.

    Raises:
        ModelError: it takes none of them, or answers with something else than an encoder.
    """
    outputs: dict[str, np.ndarray[Any, Any]] = {}
    refusals: list[ModelError] = []
    for index, (name, request) in enumerate(_every_request(directory).items()):
        if outputs and index >= len(REFERENCE_SHAPES):
            break
        try:
            output = answer(request)
        except ModelError as error:
            refusals.append(error)
        else:
            outputs[name] = _checked(model, output, request)
    if not outputs:
        raise refusals[-1]
    np.savez(directory / OUTPUTS_FILE, allow_pickle=False, **outputs)


def _checked(model: ResolvedModel, output: np.ndarray[Any, Any], request: Request) -> np.ndarray[Any, Any]:
    """The output.

    Raises:
        ModelError: it is not one row of finite numbers per sequence.
    """
    batch = len(next(iter(request.values())))
    if output.dtype.kind not in "fiu" or output.ndim < 1 or len(output) != batch:
        raise ModelError(
            f"{model.source} answers {batch} sequences with {output.dtype} {output.shape}, no row for each",
            remedy="export the encoder so that its first output is an array (batch, ...) of numbers",
        )
    if not np.isfinite(output).all():
        raise ModelError(
            f"{model.source} answers with numbers that are not finite, even at fp32",
            remedy="check its weights",
        )
    return output


def _special_ids(source: Path | None) -> list[int]:
    """Ids that the tokenizer beside the model marks as special; none where there is no tokenizer.json."""
    if source is None or not (source / "tokenizer.json").is_file():
        return []
    try:
        tokens = json.loads((source / "tokenizer.json").read_bytes()).get("added_tokens", [])
        return [int(token["id"]) for token in tokens if token.get("special")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
