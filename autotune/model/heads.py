"""The head of a transformers model: which class its configuration names, and whether its head is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.errors import ModelError
from autotune.spec.model_source import Head

PRETRAINING = re.compile(r"\w+(ForMaskedLM|ForPreTraining|ForCausalLM|LMHeadModel|WithLMHead)")
"""Classes whose head was made for pre-training: a number for each token of the vocabulary, or the like."""
ANY_HEAD = re.compile(r"\w+(For[A-Z]\w+|LMHeadModel|WithLMHead)")
"""Classes with a head, as transformers names them."""

WITHOUT_EFFECT = re.compile(r"(.*\.)?(pooler\..*|position_ids|inv_freq|masked_bias|num_batches_tracked)")
"""Weights that decide no answer where nothing uses them: poolers, which we never ask, and constants."""

MOST_NAMED = 3


def named_class(config: Mapping[str, Any]) -> str | None:
    """The class that a configuration says its weights were saved from."""
    named = config.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else None


def has_head(class_name: str) -> bool:
    """Whether a transformers class has a head, by its name."""
    return ANY_HEAD.fullmatch(class_name) is not None


def refuse_unmeant_head(directory: Path, config: Mapping[str, Any], head: Head | None) -> None:
    """Refuse a head that was made for pre-training, unless the study says what is meant.

    Raises:
        ModelError: there is one, and the study says nothing.
    """
    named = named_class(config)
    if head is None and named is not None and PRETRAINING.fullmatch(named):
        raise ModelError(
            f"{directory} has the head of its pre-training: config.json names {named}, whose head often takes"
            " most of the time and is of no use for embeddings",
            remedy="say in the study what is served: `head: pooling` for sentence embeddings, `head: none`"
            " for the encoder alone, `head: auto` for the model with this head",
        )


def left_over(names: Sequence[str]) -> tuple[str, ...]:
    """Those of the weights that nothing uses which may be a head, ascending."""
    return tuple(sorted(name for name in names if not WITHOUT_EFFECT.fullmatch(name)))


def refuse_left_over(source: Path, names: Sequence[str], used_by: str, config: Mapping[str, Any]) -> None:
    """Refuse weights that nothing uses, as they are answers that the user waits for in vain.

    Args:
        names: as `left_over` gives them.
        used_by: the class that uses the others.

    Raises:
        ModelError: there are some.
    """
    if not names:
        return
    named = named_class(config)
    foreign = f"; config.json names {named}" if named and named != used_by else ""
    raise ModelError(
        f"{source} has {left_over_in_words(names)} that {used_by} does not use{foreign}",
        remedy="write into the study `head: none` to serve the encoder without them, or `head: pooling` for"
        " sentence embeddings, or name under `architectures` in config.json the class of transformers that"
        " uses them",
    )


def left_over_in_words(names: Sequence[str]) -> str:
    """How many weights are left over, and the first of them."""
    more = ", ..." if len(names) > MOST_NAMED else ""
    count = "1 weight" if len(names) == 1 else f"{len(names)} weights"
    return f"{count} ({', '.join(names[:MOST_NAMED])}{more})"
