"""What kinds of models there are: one value for each prefix of a source, which says what can be done with it.

Nobody asks for a kind's name: who depends on it asks what such a model can do. How the model of a source is
found on this machine, `autotune.model.sources` tells.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_TOKENS: Mapping[str, int] = {
    "bert-base": 512,
    "bert-large": 512,
    "distilbert-base": 512,
    "roberta-base": 512,
    "minilm-l6": 512,
}
"""Longest sequence of each `random:` architecture.

Source: `max_position_embeddings` of their published config.json files; RoBERTa's 514 less the two
positions below its padding index.
"""

_REPOSITORY_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_PLACE = r"\S(.*\S)?"


@dataclass(frozen=True)
class ModelKind:
    """What a source's prefix says: how the rest is written, and what can be done with such a model.

    Attributes:
        name: the prefix.
        form: how its sources are written: `random:NAME`.
        pattern: what may follow the prefix and its colon, as a regular expression of the whole rest.
        usual_engine: what runs it out of the box at fp32, as the baseline does.
        fault: says what is wrong with a rest that the pattern does not take.
        longest: longest sequences by the rest, where that alone tells them.
        has_own_engine: no other engine is thought of for it, nor its own one for other kinds.
        states_inputs: a study may state what its inputs hold.
        has_head: a study may say what of it is served.
        may_hold_more: its files may hold weights that nothing uses, which the reference shows.
        is_downloaded: it may have to come from the hub first.
        has_files: it lies somewhere; without them, its weights are drawn.
        is_module: transformers loads it, and engines export or compile what was loaded.
        is_graph: it is a graph already, which engines take as it is.
        is_formula: its times and answers come of formulas: it has no weights, and no reference to be near to.
        irreducible: why it cannot be cut down to a few layers; empty where an attempt is worth it.
    """

    name: str
    form: str
    pattern: str
    usual_engine: str
    fault: Callable[[str], str] | None = None
    longest: Mapping[str, int] = field(default_factory=dict)
    has_own_engine: bool = False
    states_inputs: bool = False
    has_head: bool = False
    may_hold_more: bool = False
    is_downloaded: bool = False
    has_files: bool = True
    is_module: bool = False
    is_graph: bool = False
    is_formula: bool = False
    irreducible: str = ""

    @property
    def has_reference(self) -> bool:
        """Whether its answers at fp32 are found out once, for all others to be compared with."""
        return not self.is_formula


def _no_architecture(rest: str) -> str:
    near = difflib.get_close_matches(rest, MAX_TOKENS, n=1, cutoff=0.4)
    meant = f"(did you mean random:{near[0]}?)" if near else ""
    return f"{rest!r} is no architecture of random: {meant}; known: {', '.join(MAX_TOKENS)}"


def _no_repository(rest: str) -> str:
    return f"{rest!r} is not a repository of the hub: write hf:ORG/NAME or hf:ORG/NAME@REVISION"


_KINDS = (
    ModelKind(
        "random",
        "random:NAME",
        rf"({'|'.join(MAX_TOKENS)})",
        "pytorch",
        fault=_no_architecture,
        longest=MAX_TOKENS,
        has_files=False,
        is_module=True,
    ),
    ModelKind("path", "path:DIR", _PLACE, "pytorch", has_head=True, may_hold_more=True, is_module=True),
    ModelKind(
        "hf",
        "hf:ORG/NAME@REVISION",
        rf"({_REPOSITORY_PART}/)?{_REPOSITORY_PART}(@[A-Za-z0-9][A-Za-z0-9._/-]*)?",
        "pytorch",
        fault=_no_repository,
        has_head=True,
        may_hold_more=True,
        is_downloaded=True,
        is_module=True,
    ),
    ModelKind(
        "onnx",
        "onnx:FILE",
        _PLACE,
        "onnxruntime",
        states_inputs=True,
        has_head=True,
        is_graph=True,
        irreducible="is an ONNX file, and a file's graph cannot be cut down to a few layers",
    ),
    ModelKind(
        "fake",
        "fake:FILE",
        _PLACE,
        "fake",
        has_own_engine=True,
        is_formula=True,
        irreducible="is a fake model, which has no layers",
    ),
)

MODEL_KINDS: Final[Mapping[str, ModelKind]] = {kind.name: kind for kind in _KINDS}
"""By the prefix of their sources."""

OWN_ENGINES: Final = frozenset(kind.usual_engine for kind in _KINDS if kind.has_own_engine)
"""Engines that are thought of for one kind of model alone."""

MODULE_KINDS: Final = frozenset(kind.name for kind in _KINDS if kind.is_module)
"""Names of the kinds that transformers loads."""
