"""What an ONNX file of sentence-transformers serves: modules behind its graph, or an embedding that it has.

Its folder, or the one above its folder `onnx`, has the `modules.json` of the model that it was exported from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autotune.errors import ModelError
from autotune.model.folders.neighbours import MODULES, further_modules
from autotune.model.folders.sentence_folder import (
    CONFIG,
    POOLING_FOLDER,
    read_sentence_modules,
    read_text_rules,
    unlisted_pooling,
)
from autotune.model.folders.sentence_modules import SentenceModules
from autotune.model.onnx.messages import GraphValue
from autotune.model.onnx.places import CONFIG_FILE, beside
from autotune.spec.model_source import Head

EMBEDDING = "sentence_embedding"
"""The output of graphs that have pooling and all that follows inside. Source: optimum, its exporter's
SentenceTransformersTransformerOnnxConfig."""

HIDDEN_STATES = ("token_embeddings", "last_hidden_state")
"""Outputs that modules take, as optimum's two ways of export name them; else the first output is."""

OF_TOKENS = 3
"""Dimensions of what modules take: (batch, tokens, numbers)."""

AS_IT_IS = "write `head: none` into the study to serve the graph as it is"


def may_have_modules(file: Path, head: Head | None) -> bool:
    """Whether modules may be served behind a file's graph, of which the dimensions matter then."""
    return head == "pooling" or (head != "none" and beside(file, MODULES) is not None)


def read_onnx_modules(file: Path, outputs: Sequence[GraphValue], head: Head | None) -> SentenceModules | None:
    """What is served behind an ONNX graph, or which of its outputs; None where its first one is served.

    Args:
        outputs: of the graph.
        head: what is served, where the study says so.

    Raises:
        ModelError: a module is none of those that are served, or does not fit the graph.
        OSError: a file cannot be read.
    """
    if head == "none" or not outputs:
        return None
    folder = modules_folder(file)
    if any(output.name == EMBEDDING for output in outputs):
        because = "which its exporter made of all modules"
        return replace(read_text_rules(folder, because), output=EMBEDDING)
    hidden = _hidden(outputs)
    modules = read_sentence_modules(folder, head, _width(hidden))
    if modules is None:
        return None
    _require_tokens(file, hidden, modules)
    return replace(modules, output=hidden.name)


def modules_folder(file: Path) -> Path:
    """The folder that describes the model of an ONNX file: of its list of modules, or its configuration."""
    marks = (MODULES, str(Path(POOLING_FOLDER) / CONFIG), CONFIG_FILE)
    for mark in marks:
        if (found := beside(file, mark)) is not None:
            return found.parent.parent if mark == marks[1] else found.parent
    return file.parent


def left_out_of(file: Path, outputs: Sequence[GraphValue], head: Head | None) -> Iterator[str]:
    """What is not served of a model whose graph is served as it is, as sentences."""
    folder = modules_folder(file)
    yield from unlisted_pooling(folder, head)
    if head != "none":
        return
    if behind := further_modules(folder):
        yield (
            f"modules.json puts {', '.join(behind)} behind the encoder, which is not served: the graph is"
            " measured alone"
        )
    names = [output.name for output in outputs]
    if EMBEDDING in names[1:]:
        yield f"its output {EMBEDDING} is not what is served: its first one, {names[0]}, is"


def _hidden(outputs: Sequence[GraphValue]) -> GraphValue:
    """The output that modules take."""
    named = {output.name: output for output in outputs}
    return next((named[name] for name in HIDDEN_STATES if name in named), outputs[0])


def _width(output: GraphValue) -> int:
    """How many numbers an output has for each token; 0 = not known, or it has none for tokens."""
    shape = output.shape
    return shape[-1] or 0 if shape is not None and len(shape) == OF_TOKENS else 0


def _require_tokens(file: Path, output: GraphValue, modules: SentenceModules) -> None:
    """Refuse a graph without numbers for each token, which modules take.

    Raises:
        ModelError: its output has other dimensions, or nobody knows how many.
    """
    shape = output.shape
    if shape is not None and len(shape) == OF_TOKENS:
        return
    answer = "says nothing of its dimensions" if shape is None else f"has {len(shape)} dimensions"
    listed = ", ".join(module.in_words for module in modules.modules)
    raise ModelError(
        f"{listed} would be served behind {file}, {modules.because}, and take (batch, tokens, numbers); its"
        f" output {output.name!r} {answer}",
        remedy=f"{AS_IT_IS}, or export the encoder with its last hidden state as first output",
    )
