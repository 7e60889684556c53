"""The reference of an ONNX file: ONNX Runtime's answers at fp32. Runs in a child process."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.onnx.graph import MODEL_FILE
from autotune.backends.onnx.importing import cannot_import, import_model, not_fp32, reason_of
from autotune.backends.onnx.sentence import serve_behind
from autotune.backends.reference import CONFIG_FILE, Answering, Request, tokens_in_words
from autotune.backends.sentence_model import read_modules
from autotune.backends.torch.sentence_model import write_modules
from autotune.errors import ModelError
from autotune.model.inputs import write_inputs
from autotune.model.onnx.places import config_beside
from autotune.model.onnx.sentence import modules_folder
from autotune.model.sources import ResolvedModel

PACKAGES = ("onnxruntime", "onnx")
"""The distributions that decide what it answers."""


def write_onnx(model: ResolvedModel, directory: Path) -> Answering:
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
    return open_onnx(directory)


def _finish(model: ResolvedModel, directory: Path, graph: Any) -> None:
    """Make of an ONNX model what is served: with the modules of `directory` behind it, where it has some."""
    if model.modules is not None and model.inputs is not None:
        serve_behind(graph, model.modules.output, read_modules(directory), model.inputs)


def open_onnx(directory: Path) -> Answering:
    """Load the finished reference in `directory`."""
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
                f"the ONNX model does not run on a request of {tokens_in_words(request)} tokens:"
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
