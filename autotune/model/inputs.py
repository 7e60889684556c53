"""What goes into a model: `inputs.json` describes it, `make_inputs` makes requests of any size from that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autotune.errors import ModelError
from autotune.model.folders.sentence_modules import SentenceModules
from autotune.spec.longest import LONGEST_TEXT, shorter
from autotune.spec.model_source import ArrayKind

if TYPE_CHECKING:
    from autotune.model.folders.positions import Shapes

INPUTS_FILE = "inputs.json"
FORMAT = "autotune.inputs/1"

ElementType = Literal["int64", "int32", "float32", "bool"]

SPECIAL_TOKENS = tuple(f"{name}_token_id" for name in ("pad", "bos", "eos", "cls", "sep", "mask", "unk"))


@dataclass(frozen=True)
class InputsDescription:
    """What a model takes.

    Attributes:
        vocabulary: token ids are less than this.
        reserved: ids with a meaning of their own (padding, separators), which random requests avoid.
        max_sequence_length: the most tokens of one sequence; None = no bound.
        first_position: of the positions that an input holds.
        trained_length: tokens that the model was made for, where it has no bound but says so.
        arrays: name and content of every input, all `(batch, tokens)`.
        types: of the inputs that are not int64.
        batch_size: the only one that the model takes; None = any.
        sequence_length: the only one that the model takes; None = any up to the longest.
        longest_text: tokens that texts are cut to where the study does not say; None = as many as it takes.
        lower_case: whether texts are put into lower case before they are tokenised.
        prompt: what is put before every text.
    """

    vocabulary: int
    reserved: tuple[int, ...]
    max_sequence_length: int | None
    arrays: Mapping[str, ArrayKind]
    types: Mapping[str, ElementType] = field(default_factory=dict)
    batch_size: int | None = None
    sequence_length: int | None = None
    trained_length: int | None = None
    first_position: int = 0
    longest_text: int | None = None
    lower_case: bool = False
    prompt: str = ""

    @property
    def text_tokens(self) -> int:
        """Tokens that texts are cut to where the study does not say."""
        if self.longest_text is not None:
            return min(self.longest_text, self.max_sequence_length or self.longest_text)
        return self.max_sequence_length or self.trained_length or LONGEST_TEXT

    def positions(self, tokens: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The positions of so many tokens."""
        return np.arange(self.first_position, self.first_position + tokens, dtype=np.int64)


def describe_inputs(
    config: Mapping[str, Any],
    parameters: Iterable[str],
    special_ids: Iterable[int],
    shapes: Shapes | None = None,
) -> InputsDescription:
    """Derive what a transformers encoder takes.

    Args:
        config: its `config.json`.
        parameters: names that its forward method takes.
        special_ids: of its tokenizer, where one is known.
        shapes: of its weights by name, where they are known.

    Raises:
        ModelError: it has no vocabulary, hence takes no token ids.
    """
    # Where requests are only made, in workers and servers, nothing is derived.
    from autotune.model.folders.positions import longest_sequence, trained_length

    vocabulary = config.get("vocab_size")
    if not isinstance(vocabulary, int):
        raise ModelError(
            f"a {config.get('model_type')} model takes no token ids", remedy="choose an encoder of text"
        )
    arrays: dict[str, ArrayKind] = {"input_ids": "tokens", "attention_mask": "ones"}
    if "token_type_ids" in set(parameters) and config.get("type_vocab_size", 0) > 1:
        arrays["token_type_ids"] = "zeros"
    return InputsDescription(
        vocabulary=vocabulary,
        reserved=reserved_ids(config, special_ids, vocabulary),
        max_sequence_length=longest_sequence(config, shapes),
        arrays=arrays,
        trained_length=trained_length(config),
    )


def reading_texts(description: InputsDescription, modules: SentenceModules) -> InputsDescription:
    """The same with how the modules say that texts are read."""
    return replace(
        description,
        longest_text=modules.longest_text,
        lower_case=modules.lower_case,
        prompt=modules.prompt,
    )


def reserved_ids(config: Mapping[str, Any], special_ids: Iterable[int], vocabulary: int) -> tuple[int, ...]:
    """Those below `vocabulary` that `config.json` or a tokenizer give a meaning of their own, ascending."""
    configured = (config.get(name) for name in SPECIAL_TOKENS)
    reserved = {*special_ids, *(token for token in configured if isinstance(token, int))}
    return tuple(sorted(token for token in reserved if 0 <= token < vocabulary))


def is_unmasked(description: InputsDescription | None) -> bool:
    """Whether the model cannot be told what is padding; None = it is one of transformers' own, and can."""
    return description is not None and "ones" not in description.arrays.values()


def write_inputs(directory: Path, description: InputsDescription) -> None:
    """Write `inputs.json` into `directory`."""
    document = {"format": FORMAT, **asdict(description)}
    (directory / INPUTS_FILE).write_text(json.dumps(document, indent=2) + "\n")


def read_inputs(directory: Path) -> InputsDescription:
    """Read `inputs.json` of a prepared model.

    Raises:
        ModelError: there is none, or not one of ours.
    """
    file = directory / INPUTS_FILE
    try:
        document = json.loads(file.read_bytes())
        if document.pop("format") != FORMAT:
            raise ValueError("another format")
        description = InputsDescription(**document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{file} does not describe a model's inputs: {error}", remedy="prepare the model again"
        ) from error
    return description


def make_inputs(
    directory: Path, batch_size: int, sequence_length: int, seed: int
) -> dict[str, np.ndarray[Any, Any]]:
    """Make one request for the model in `directory`; the same arguments make the same request.

    Returns:
        Arrays `(batch_size, sequence_length)` by name, int64 but for what `InputsDescription.types` says;
        token ids are random, never special ones.

    Raises:
        ModelError: the model takes no requests of this shape.
    """
    description = read_inputs(directory)
    check_shape(description, batch_size, sequence_length)
    shape = (batch_size, sequence_length)
    makers: dict[ArrayKind, Callable[[], np.ndarray[Any, Any]]] = {
        "tokens": lambda: _random_tokens(description, shape, seed),
        "ones": lambda: np.ones(shape, dtype=np.int64),
        "zeros": lambda: np.zeros(shape, dtype=np.int64),
        "positions": lambda: np.tile(description.positions(sequence_length), (batch_size, 1)),
    }
    types = description.types
    return {
        name: makers[kind]().astype(types.get(name, "int64"), copy=False)
        for name, kind in description.arrays.items()
    }


def nearest_shape(description: InputsDescription, batch_size: int, sequence_length: int) -> tuple[int, int]:
    """The `(batch, tokens)` that the model takes nearest to this."""
    longest = description.max_sequence_length or sequence_length
    tokens = description.sequence_length or min(sequence_length, longest)
    return description.batch_size or batch_size, tokens


def check_shape(
    description: InputsDescription, batch_size: int, sequence_length: int, place: str = "sequence_length"
) -> None:
    """Refuse requests of a shape that the model does not take.

    Args:
        place: in the study's problem, of what says how long they are.

    Raises:
        ModelError: they are longer than the model's longest, or not of the only shape that it takes.
    """
    refuse_longer(description.max_sequence_length, sequence_length, place)
    fixed = (
        ("batch_size", batch_size, description.batch_size),
        ("sequence_length", sequence_length, description.sequence_length),
    )
    for name, asked, only in fixed:
        if only is not None and asked != only:
            raise ModelError(
                f"{name} {asked} is not what the model was exported for: it takes {only} alone",
                remedy=f"set problem.{name} to {only}, or export the model with this dimension left free",
            )


def ordinary_tokens(description: InputsDescription) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Every token id that has no meaning of its own, ascending."""
    return np.setdiff1d(
        np.arange(description.vocabulary, dtype=np.int64), np.array(description.reserved, dtype=np.int64)
    )


def refuse_longer(longest: int | None, sequence_length: int, place: str) -> None:
    """Refuse a sequence that has more tokens than a model's longest; None = there is no bound.

    Args:
        place: in the study's problem, of what says how long it is.

    Raises:
        ModelError: it is longer.
    """
    if longest is not None and sequence_length > longest:
        raise ModelError(
            f"problem.{place}: {sequence_length} tokens are more than the model takes",
            remedy=shorter(longest, place),
        )


def _random_tokens(
    description: InputsDescription, shape: tuple[int, int], seed: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    ordinary = ordinary_tokens(description)
    drawn = np.random.default_rng(seed).integers(len(ordinary), size=shape)
    return np.asarray(ordinary[drawn], dtype=np.int64)
