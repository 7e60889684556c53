"""Puts sequences together into the requests that were measured: how many, up to where each is filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.errors import ServingError
from autotune.model.arranging import Arrangement, arrange, padded_length
from autotune.model.inputs import InputsDescription
from autotune.spec.configuration import Batching, Padding

if TYPE_CHECKING:
    from autotune.runtime.reading import Tokens

Array = np.ndarray[Any, Any]
Shape = tuple[int, int]

NAMES = {
    "tokens": "input_ids",
    "ones": "attention_mask",
    "zeros": "token_type_ids",
    "positions": "position_ids",
}
"""What callers call an input, by what it holds; the model may have names of its own."""


@dataclass(frozen=True)
class Filling:
    """The rules by which requests are made.

    Attributes:
        batch_size: sequences of a request, at most; of batching `tokens`, of the longest.
        padding, batching: as the plan's configuration says.
        longest: tokens of the longest sequence of the plan's requests; 0 where they were of one length.
        bounds: lengths that requests are filled up to, ascending; none = their own longest sequence's.
        pad_token: what fills them.
        shapes: `(batch, tokens)` of the only requests that the engine has code for; empty = any.
        holds_for_all: whether other shapes are answered too, after the engine has compiled for them.
    """

    inputs: InputsDescription
    batch_size: int
    padding: Padding = ""
    batching: Batching = ""
    longest: int = 0
    bounds: tuple[int, ...] = ()
    pad_token: int = 0
    shapes: tuple[Shape, ...] = ()
    holds_for_all: bool = True

    def requests(self, lengths: Sequence[int]) -> list[tuple[int, ...]]:
        """Share sequences of these lengths out to requests; give the indices of each one's sequences."""
        size = self.inputs.batch_size or self.batch_size
        if self.batching in ("", "arrival") or not self.longest:
            shared = [
                tuple(range(start, min(start + size, len(lengths)))) for start in range(0, len(lengths), size)
            ]
        else:
            rules = Arrangement(self.padding or "none", self.batching, size, self.longest)
            shared = arrange([min(length, self.longest) for length in lengths], rules, seed=0)
        return shared if self.has_mask else [part for each in shared for part in _alike(each, lengths)]

    @property
    def has_mask(self) -> bool:
        """Whether the model can be told what only fills a sequence up."""
        return "ones" in self.inputs.arrays.values()

    def shape(self, batch: int, tokens: int) -> Shape:
        """Give the `(batch, tokens)` that a request of so many sequences, the longest of `tokens`, is run at.

        Raises:
            ServingError: the artifact holds for no request that is as large.
        """
        inside = not self.bounds or tokens <= self.bounds[-1]
        to = padded_length(tokens, self.bounds) if inside and self.has_mask else tokens
        wanted = self.inputs.batch_size or batch, self.inputs.sequence_length or to
        fitting = [shape for shape in self.shapes if shape[0] >= wanted[0] and shape[1] >= wanted[1]]
        if fitting and self.has_mask:
            return min(fitting, key=lambda shape: (shape[0] * shape[1], shape))
        if wanted in self.shapes or (self.holds_for_all and wanted[0] >= batch and wanted[1] >= tokens):
            return wanted
        held = ", ".join(f"{rows} x {length}" for rows, length in self.shapes) or f"{wanted[0]} x {wanted[1]}"
        raise ServingError(
            f"a request of {batch} x {tokens} tokens does not fit: the artifact holds for {held} alone",
            remedy="send shorter or fewer sequences, or tune with the lengths that you serve",
        )

    def collate(self, sequences: Sequence[Tokens]) -> dict[str, Array]:
        """Make one request of sequences, filled up in tokens and in rows.

        Returns:
            Arrays by name of the model's input; rows beyond the sequences repeat the first one.
        """
        rows, to = self.shape(len(sequences), max(map(len, sequences)))
        whole = [*sequences, *[sequences[0]] * (rows - len(sequences))]
        made: dict[str, Array] = {}
        for name, kind in self.inputs.arrays.items():
            fill = self.pad_token if kind == "tokens" else 0
            array = np.full((rows, to), fill, dtype=self.inputs.types.get(name, "int64"))
            if kind == "positions":
                array[:] = self.inputs.positions(to)
            else:
                for row, sequence in zip(array, whole, strict=True):
                    row[: len(sequence)] = {"tokens": sequence.ids, "zeros": sequence.types}.get(kind, 1)
            made[name] = array
        return made

    def complete(self, given: Mapping[str, Any]) -> tuple[dict[str, Array], Shape]:
        """Make one request of arrays that a caller has, filled up like any other.

        Args:
            given: `(batch, tokens)` each, by the model's own names or the usual ones.

        Returns:
            The request, and the shape that was given.

        Raises:
            ServingError: an array is missing, unknown, of another shape, or not what the model takes.
        """
        arrays = {name: _numbers(name, array) for name, array in given.items()}
        own = {name: self._of(name, kind, arrays) for name, kind in self.inputs.arrays.items()}
        known = {
            *own,
            *(NAMES[kind] for kind in self.inputs.arrays.values()),
            "token_type_ids",
            "position_ids",
        }
        if unknown := sorted(arrays.keys() - known):
            raise ServingError(
                f"the model takes no {unknown[0]!r}", remedy=f"it takes {', '.join(self.inputs.arrays)}"
            )
        tokens = next((array for name, array in own.items() if self.inputs.arrays[name] == "tokens"), None)
        if tokens is None or tokens.ndim != 2 or not tokens.size:
            raise ServingError(
                "there are no token ids (batch, tokens)", remedy="give input_ids=..., or texts in their place"
            )
        batch, length = tokens.shape
        self._refuse_tokens(tokens)
        if any(array is not None and array.shape != tokens.shape for array in own.values()):
            raise ServingError(f"arrays differ in shape: input_ids has {batch} x {length}", remedy="pad them")
        rows, to = self.shape(batch, length)
        made = {name: self._filled(name, array, (batch, length), (rows, to)) for name, array in own.items()}
        return made, (batch, length)

    def _refuse_tokens(self, tokens: Array) -> None:
        """Refuse ids that engines might read beyond their weights for, and sequences that are too long."""
        most = self.inputs.max_sequence_length
        if tokens.dtype.kind not in "iu":
            raise ServingError(f"input_ids are {tokens.dtype}, not whole numbers", remedy="give token ids")
        wrong = tokens[(tokens < 0) | (tokens >= self.inputs.vocabulary)]
        if wrong.size:
            raise ServingError(
                f"the token {wrong[0]} is none of the model's {self.inputs.vocabulary}",
                remedy="tokenise with the model's own tokenizer",
            )
        if most is not None and tokens.shape[1] > most:
            raise ServingError(
                f"sequences have {tokens.shape[1]} tokens, and the model takes {most}", remedy="cut them"
            )

    def _of(self, name: str, kind: str, arrays: Mapping[str, Array]) -> Array | None:
        return arrays.get(name, arrays.get(NAMES[kind]))

    def _filled(self, name: str, array: Array | None, given: Shape, to: Shape) -> Array:
        kind = self.inputs.arrays[name]
        made = np.full(to, self.pad_token if kind == "tokens" else 0, self.inputs.types.get(name, "int64"))
        batch, length = given
        if kind == "positions":
            made[:] = self.inputs.positions(to[1])
        if array is not None:
            made[:batch, :length] = array
        elif kind == "ones":
            made[:batch, :length] = 1
        made[batch:] = made[:1]
        return made


def _numbers(name: str, values: Any) -> Array:
    """Give an array of numbers.

    Raises:
        ServingError: it is none.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ServingError(f"the rows of {name} differ in length", remedy="pad them") from error
    if array.dtype.kind not in "iufb":
        raise ServingError(f"{name} has {values!r:.60}, which is no array of numbers", remedy="give numbers")
    return array


def _alike(request: Sequence[int], lengths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Split a request into ones of sequences that have the same length."""
    by_length: dict[int, list[int]] = {}
    for index in request:
        by_length.setdefault(lengths[index], []).append(index)
    return map(tuple, by_length.values())
