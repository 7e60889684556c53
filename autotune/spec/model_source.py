"""How a study names its model: by a source, whose prefix says of which kind it is."""

from __future__ import annotations

import difflib
import re
from typing import Literal

from autotune.errors import ModelError
from autotune.spec.model_kind import MAX_TOKENS, MODEL_KINDS, ModelKind

ArrayKind = Literal["tokens", "ones", "zeros", "positions"]
"""What an input of a model holds: token ids, ones (every token is attended to), zeros (one segment), or the
tokens' positions 0, 1, 2, ..."""

Head = Literal["auto", "none", "pooling"]
"""What of a transformers model is served: what its folder says (its class with its head, or the modules of
sentence-transformers), the encoder alone, or sentence embeddings."""

_FORMS = tuple(kind.form for kind in MODEL_KINDS.values())
FORMS = f"{', '.join(_FORMS[:-1])} or {_FORMS[-1]}"


def model_fault(source: str) -> str | None:
    """Say what is wrong with a model source and what is allowed; None if nothing is."""
    prefix, colon, rest = source.partition(":")
    kind = MODEL_KINDS.get(prefix)
    if not colon or kind is None:
        return f"{source!r} is not a model: write {FORMS}{_meant(source, prefix)}"
    if re.fullmatch(kind.pattern, rest):
        return None
    if kind.fault is not None:
        return kind.fault(rest)
    return f"{source!r} names nothing: write {prefix}: and then where it lies, without blanks around it"


def kind_of(source: str) -> str:
    """Give the name of a source's kind, its prefix, as engines are told it."""
    return source.partition(":")[0]


def model_kind(source: str) -> ModelKind:
    """Look up what can be done with a model by its source.

    Raises:
        ModelError: there is no such kind.
    """
    kind = MODEL_KINDS.get(kind_of(source))
    if kind is None:
        raise ModelError(f"{source!r} is not a model source", remedy=f"write {FORMS}")
    return kind


def max_tokens(source: str) -> int | None:
    """Give the longest sequence that the model takes; None where only its files can tell."""
    prefix, _, rest = source.partition(":")
    kind = MODEL_KINDS.get(prefix)
    return None if kind is None else kind.longest.get(rest)


def _meant(source: str, prefix: str) -> str:
    if source in MAX_TOKENS:
        return f" (did you mean random:{source}?)"
    near = difflib.get_close_matches(prefix, MODEL_KINDS, n=1)
    return f" (did you mean {near[0]}:?)" if near and ":" in source else ""
