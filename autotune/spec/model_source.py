"""How a study names its model: what each prefix takes, and which architectures `random:` knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Literal

ArrayKind = Literal["tokens", "ones", "zeros", "positions"]
"""What an input of a model holds: token ids, ones (every token is attended to), zeros (one segment), or the
tokens' positions 0, 1, 2, ..."""

Head = Literal["auto", "none", "pooling"]
"""What of a transformers model is served: what its folder says (its class with its head, or the modules of
sentence-transformers), the encoder alone, or sentence embeddings."""

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

PATTERNS: Mapping[str, str] = {
    "random": rf"({'|'.join(MAX_TOKENS)})",
    "path": r"\S(.*\S)?",
    "hf": rf"({_REPOSITORY_PART}/)?{_REPOSITORY_PART}(@[A-Za-z0-9][A-Za-z0-9._/-]*)?",
    "onnx": r"\S(.*\S)?",
    "fake": r"\S(.*\S)?",
}
"""What may follow each prefix and its colon, as a regular expression of the whole rest."""

FORMS = "random:NAME, path:DIR, hf:ORG/NAME@REVISION, onnx:FILE or fake:FILE"


def model_fault(source: str) -> str | None:
    """Say what is wrong with a model source and what is allowed; None if nothing is."""
    kind, colon, rest = source.partition(":")
    if not colon or kind not in PATTERNS:
        return f"{source!r} is not a model: write {FORMS}{_meant(source, kind)}"
    if re.fullmatch(PATTERNS[kind], rest):
        return None
    if kind == "random":
        return f"{rest!r} is no architecture of random: {_nearest(rest)}; known: {', '.join(MAX_TOKENS)}"
    if kind == "hf":
        return f"{rest!r} is not a repository of the hub: write hf:ORG/NAME or hf:ORG/NAME@REVISION"
    return f"{source!r} names nothing: write {kind}: and then where it lies, without blanks around it"


def kind_of(source: str) -> str:
    """The kind of a model's source: its prefix."""
    return source.partition(":")[0]


def max_tokens(source: str) -> int | None:
    """The longest sequence that the model takes; None where only its files can tell."""
    kind, _, name = source.partition(":")
    return MAX_TOKENS.get(name) if kind == "random" else None


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, MAX_TOKENS, n=1, cutoff=0.4)
    return f"(did you mean random:{near[0]}?)" if near else ""


def _meant(source: str, kind: str) -> str:
    if source in MAX_TOKENS:
        return f" (did you mean random:{source}?)"
    near = difflib.get_close_matches(kind, PATTERNS, n=1)
    return f" (did you mean {near[0]}:?)" if near and ":" in source else ""
