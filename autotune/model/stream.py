"""A request stream as it lies in the cache: sequences, and the requests that are made of them.

```
requests.json    what it is: `StreamDescription`
requests.npz     tokens and starts of the different sequences; the sequences and starts of the requests
inputs.json      what the model takes, see `autotune.model.inputs`
texts.json       the different sequences as texts, where workers tokenise them, and
tokenizer.json   what they do it with
```

Workers import this module, so it loads no pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.errors import ModelError
from autotune.model.arranging import padded_length, part_of
from autotune.model.inputs import InputsDescription, read_inputs

if TYPE_CHECKING:
    from autotune.model.texts.texts import TextOrPair

DESCRIPTION_FILE = "requests.json"
ARRAYS_FILE = "requests.npz"
TEXTS_FILE = "texts.json"

Array = np.ndarray[Any, Any]
Shape = tuple[int, int]


@dataclass(frozen=True)
class StreamDescription:
    """What a stream is.

    Attributes:
        requests: how many there are, before they begin again; sequences: in all of them together.
        distinct: how many of the sequences are different.
        batch_size: sequences of a request; of batching `tokens`, of the longest.
        bounds: the lengths that requests are filled up to, ascending; none = their own longest sequence's.
        longest: tokens that texts are cut to.
        pad_token: what fills them.
        parts: instances that share every request; 1 = each has requests of its own.
        cycle: requests in which long and short ones come as often as in all.
        shapes: `(batch, tokens)` of all requests and their parts, ascending; empty where they are more than
            are kept apart, or where a cache leaves others of them; shape_count: how many.
        mean_tokens, median_tokens, p90_tokens, most_tokens: of a sequence, without padding.
        padding: share of the tokens of all requests that only fill them, where no answer is cached.
        tokenizes: workers are given texts.
        cache_size: answers that an instance keeps; 0 = none.
        hit_rate: share of the sequences that come again for its sake; None = whatever the texts give.
        cut: sequences of which only the first `cut_to` tokens are served; None where they are no texts, or
            where an older version made the stream.
    """

    requests: int
    sequences: int
    distinct: int
    batch_size: int
    bounds: tuple[int, ...]
    longest: int
    pad_token: int
    parts: int
    cycle: int
    shapes: tuple[Shape, ...]
    shape_count: int
    mean_tokens: float
    median_tokens: float
    p90_tokens: float
    most_tokens: int
    padding: float
    tokenizes: bool = False
    cache_size: int = 0
    hit_rate: float | None = None
    cut: int | None = None
    cut_to: int | None = None


def write_description(directory: Path, description: StreamDescription) -> None:
    """Write `requests.json` into `directory`."""
    (directory / DESCRIPTION_FILE).write_text(json.dumps(asdict(description), indent=2) + "\n")


def read_description(directory: Path) -> StreamDescription:
    """The inverse of `write_description`.

    Raises:
        ModelError: the file is not one of ours.
    """
    file = directory / DESCRIPTION_FILE
    try:
        fields = json.loads(file.read_bytes())
        fields["bounds"] = tuple(fields["bounds"])
        fields["shapes"] = tuple((batch, tokens) for batch, tokens in fields["shapes"])
        return StreamDescription(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{file} describes no requests: {error}", remedy="prune the cache and try again"
        ) from error


@dataclass(frozen=True)
class StreamArrays:
    """The sequences of a stream and their order.

    Attributes:
        tokens: of the different sequences, one after the other; starts: where each begins, and the end.
        order: number of the sequence at every place of the requests, one after the other; request_starts:
            where each request begins, and the end.
        first_of_shape: requests that have every shape, in every part where they are split; longest first.
    """

    tokens: Array
    starts: Array
    order: Array
    request_starts: Array
    first_of_shape: Array


def write_arrays(directory: Path, arrays: StreamArrays) -> None:
    """Write `requests.npz` into `directory`."""
    np.savez(directory / ARRAYS_FILE, allow_pickle=False, **vars(arrays))


class Stream:
    """The requests of a stream, as one instance is given them."""

    def __init__(self, directory: Path, part: int = 0) -> None:
        """Read them.

        Args:
            part: which part of every request, where several instances share them.

        Raises:
            ModelError: a file is not one of ours.
        """
        self.description = read_description(directory)
        self.inputs = read_inputs(directory)
        self._part = part
        try:
            with np.load(directory / ARRAYS_FILE, allow_pickle=False) as stored:
                self._arrays = StreamArrays(**{name: stored[name] for name in stored.files})
            self._texts = _read_texts(directory) if self.description.tokenizes else ()
            self._again = _again(self._arrays)
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"{directory} holds no requests: {error}", remedy="prune the cache and try again"
            ) from error

    def request(self, index: int) -> list[int]:
        """The numbers of the sequences of this instance's part of a request, in order."""
        starts = self._arrays.request_starts
        whole: list[int] = self._arrays.order[starts[index] : starts[index + 1]].tolist()
        parts = self.description.parts
        return whole if parts == 1 else list(part_of(whole, self._part, parts))

    def tokens(self, number: int) -> Array:
        """The token ids of a sequence."""
        starts = self._arrays.starts
        found: Array = self._arrays.tokens[starts[number] : starts[number + 1]]
        return found

    def text(self, number: int) -> TextOrPair:
        """A sequence's text or pair of texts, where workers tokenise."""
        return self._texts[number]

    def again(self, index: int) -> int:
        """How many sequences of a request came before in the same round, or twice in the request itself."""
        return self._again[index]

    def coming_again(self, index: int) -> list[int]:
        """Numbers of the sequences before a request that come again from it on, the one that came last at
        the end."""
        start = self._arrays.request_starts[index]
        later = set(self._arrays.order[start:].tolist())
        before = dict.fromkeys(reversed(self._arrays.order[:start].tolist()))
        return [number for number in reversed(before) if number in later]

    def one_of_every_shape(self) -> list[int]:
        """Requests that together have every shape, the longest first."""
        indices: list[int] = self._arrays.first_of_shape.tolist()
        return indices

    def collate(self, sequences: Sequence[Array]) -> dict[str, Array]:
        """One request of these sequences, filled up: see `collate`."""
        to = padded_length(max(map(len, sequences)), self.description.bounds)
        return collate(sequences, to, self.inputs, self.description.pad_token)


def collate(
    sequences: Sequence[Array], to: int, inputs: InputsDescription, pad_token: int
) -> dict[str, Array]:
    """Make one request of token ids.

    Args:
        sequences: of no more than `to` tokens each.
        to: tokens of every sequence in the request; what is missing is filled, and not attended to.

    Returns:
        Arrays `(len(sequences), to)` by name of the model's input.
    """
    shape = (len(sequences), to)
    made: dict[str, Array] = {}
    for name, kind in inputs.arrays.items():
        array = np.full(shape, pad_token if kind == "tokens" else 0, dtype=inputs.types.get(name, "int64"))
        if kind == "positions":
            array[:] = inputs.positions(to)
        elif kind != "zeros":
            for row, sequence in zip(array, sequences, strict=True):
                row[: len(sequence)] = sequence if kind == "tokens" else 1
        made[name] = array
    return made


def _again(arrays: StreamArrays) -> list[int]:
    """Of every request, how many of its sequences came before."""
    came_before = np.ones(len(arrays.order), dtype=np.int64)
    came_before[np.unique(arrays.order, return_index=True)[1]] = 0
    counts: list[int] = np.add.reduceat(came_before, arrays.request_starts[:-1]).tolist()
    return counts


def _read_texts(directory: Path) -> tuple[TextOrPair, ...]:
    texts = json.loads((directory / TEXTS_FILE).read_bytes())
    return tuple(text if isinstance(text, str) else (text[0], text[1]) for text in texts)
