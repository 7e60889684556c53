"""The head of a transformers model: which class its configuration names, and whether its head is meant."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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

LEFT_OVER_FILE = "left_over.json"


@dataclass(frozen=True)
class LeftOver:
    """Weights of a checkpoint that the class which is served does not use.

    Attributes:
        names: as `left_over` gives them.
        used_by: the class that uses the others.
        named: the class that the configuration names, if it names one.
    """

    names: tuple[str, ...]
    used_by: str
    named: str | None

    @property
    def in_words(self) -> str:
        """How many weights, and the first of them."""
        more = ", ..." if len(self.names) > MOST_NAMED else ""
        count = "1 weight" if len(self.names) == 1 else f"{len(self.names)} weights"
        return f"{count} ({', '.join(self.names[:MOST_NAMED])}{more})"


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


def refuse_left_over(source: Path | str, left: LeftOver) -> None:
    """Refuse weights that nothing uses, as they are answers that the user waits for in vain.

    Raises:
        ModelError: there are some.
    """
    if not left.names:
        return
    foreign = f"; config.json names {left.named}" if left.named and left.named != left.used_by else ""
    raise ModelError(
        f"{source} has {left.in_words} that {left.used_by} does not use{foreign}",
        remedy="write into the study `head: none` to serve the encoder without them, or `head: pooling` for"
        " sentence embeddings, or name under `architectures` in config.json the class of transformers that"
        " uses them",
    )


def write_left_over(directory: Path, left: LeftOver) -> None:
    """Write `left_over.json` into a model's reference: other studies have that too; see `refuse_noted`."""
    (directory / LEFT_OVER_FILE).write_text(json.dumps(asdict(left)) + "\n")


def refuse_noted(source: Path | str, directory: Path, head: Head | None) -> None:
    """Refuse weights that nothing uses, as `directory` notes them, unless the study says that they may be.

    Args:
        directory: of the model's reference, which a study may have made that says so.

    Raises:
        ModelError: there are some, and it does not.
    """
    file = directory / LEFT_OVER_FILE
    if head is None and file.is_file():
        stated = json.loads(file.read_bytes())
        refuse_left_over(source, LeftOver(tuple(stated["names"]), stated["used_by"], stated["named"]))
