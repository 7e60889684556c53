"""Runs the requests of a stream in a worker: tokenises and fills them up as asked, and keeps answers."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autotune.backends.protocol import Session
from autotune.measurement.measurement import FailureKind
from autotune.model.stream import Stream
from autotune.worker.answer_cache import AnswerCache
from autotune.worker.failures import InstanceError
from autotune.worker.requests import check_output
from autotune.worker.warmup import WarmUp, warm_up_in_laps

if TYPE_CHECKING:
    from autotune.model.texts.texts import TextOrPair

HIT_RATE_TOLERANCE = 0.02
"""By how much the share of answers that are found may differ from the share of those that come again."""

SHAPES_SHARE = 0.5
"""Of the warm-up's time, for one request of every shape: engines plan and allocate for shapes."""

Array = np.ndarray[Any, Any]


class TextEncoder:
    """Tokenises texts as the library does it for whoever serves them, on the threads that it is permitted."""

    def __init__(self, tokenizer: Path, longest: int) -> None:
        """Load the tokenizer, and have its threads start: an engine counts its own from there."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        self.encode(["a", "b"])

    def encode(self, texts: Sequence[TextOrPair]) -> list[Array]:
        """The token ids of each text, or pair of texts."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]


class StreamedRequests:
    """The requests of a stream, round and round; see `autotune.worker.requests.Requests`.

    Every instance begins at another place. A round is a pass of its own: an answer that the cache keeps from
    an earlier one is not found, so that going round does not make requests come again. Where a hit rate is
    asked for, the warm-up answers what came before the instance's place and comes again from there on, so
    that the cache finds as much from the first request as it would had the round begun at its beginning.
    """

    def __init__(
        self,
        session: Session,
        stream: Stream,
        encoder: TextEncoder | None = None,
        *,
        instance: int = 0,
        instances: int = 1,
    ) -> None:
        self._session, self._stream, self._encoder = session, stream, encoder
        self._described = stream.description
        self.cycle = self._described.cycle
        together = self._described.parts > 1
        self._offset = 0 if together else instance * self._described.requests // instances
        self._position, self._pass = self._offset, 0
        size = self._described.cache_size
        self._cache = AnswerCache(size) if size else None
        self._samples: list[int] = []
        self._hits: list[int] = []
        self._before: list[tuple[int, Array]] = []
        self._looked = self._found = self._due = 0
        self._output: Any = None
        self._lengths: list[int] = []
        self._answers: list[Array] | None = None

    def __call__(self) -> None:
        """Run the next request."""
        numbers = self._stream.request(self._position)
        hits = self._answer(numbers)
        self._samples.append(len(numbers))
        self._hits.append(hits)
        self._looked += len(numbers)
        self._found += hits
        self._due += self._stream.again(self._position)
        self._position = (self._position + 1) % self._described.requests
        self._pass += self._position == 0

    def warm_up(self, limit_s: float) -> WarmUp:
        """See `Requests.warm_up`: one request of every shape, then the same stretch again and again."""
        started_s = time.monotonic()
        self._run_every_shape(started_s + SHAPES_SHARE * limit_s)
        self._before = self._answered_before()
        self._rewind()
        left_s = limit_s - (time.monotonic() - started_s)
        warm = warm_up_in_laps(self, self._rewind, self.cycle, left_s)
        self._rewind()
        self._looked = self._found = self._due = 0
        return replace(warm, seconds=time.monotonic() - started_s)

    def begin(self) -> None:
        """See `Requests.begin`."""
        self._samples, self._hits = [], []

    def samples(self, count: int) -> tuple[int, ...]:
        """See `Requests.samples`."""
        return tuple(self._samples[:count])

    def hits(self, count: int) -> tuple[int, ...]:
        """See `Requests.hits`."""
        return () if self._cache is None else tuple(self._hits[:count])

    def answers(self) -> list[Array]:
        """The answer to each sequence of the last request, in order, without what only filled it up."""
        if self._answers is not None:
            return self._answers
        return self._rows()

    def check(self) -> None:
        """See `Requests.check`."""
        if self._output is not None:
            check_output(self._output, len(self._lengths))
        if self._described.hit_rate is not None:
            self._check_hit_rate()

    def _check_hit_rate(self) -> None:
        """The stream has the rate that was asked for; the cache must find what comes again in it."""
        if abs(self._found - self._due) > HIT_RATE_TOLERANCE * self._looked:
            raise InstanceError(
                FailureKind.PLACEMENT,
                f"the response cache had {self._found} of {self._looked} answers "
                f"({self._found / self._looked:.1%}), where {self._due / self._looked:.1%} came again",
            )

    def _rewind(self) -> None:
        """Go back to the instance's own place, in a pass of its own."""
        self._position = self._offset
        self._pass += 1
        for number, answer in self._before:
            self._keep(self._key(number), answer)

    def _answered_before(self) -> list[tuple[int, Array]]:
        """The answers to what came before the instance's place and comes again from there on."""
        if self._described.hit_rate is None:
            return []
        numbers, size = self._stream.coming_again(self._offset), self._described.batch_size
        answered: list[tuple[int, Array]] = []
        for start in range(0, len(numbers), size):
            some = numbers[start : start + size]
            self._run(some)
            answered += zip(some, self._rows(), strict=True)
        return answered

    def _run_every_shape(self, until_s: float) -> None:
        for index in self._stream.one_of_every_shape():
            self._run(self._stream.request(index))
            if time.monotonic() >= until_s:
                return

    def _answer(self, numbers: Sequence[int]) -> int:
        """Answer sequences; give how many were found in the cache, or twice in the request."""
        if self._cache is None:
            self._run(numbers)
            return 0
        keys = [self._key(number) for number in numbers]
        known = {key: answer for key in keys if (answer := self._cache.get(key)) is not None}
        missing = {key: number for key, number in zip(keys, numbers, strict=True) if key not in known}
        if missing:
            self._run(list(missing.values()))
            for key, answer in zip(missing, self._rows(), strict=True):
                known[key] = answer
                self._keep(key, answer)
        self._answers = [known[key] for key in keys]
        return len(numbers) - len(missing)

    def _keep(self, key: Hashable, answer: Array) -> None:
        assert self._cache is not None
        self._cache.put(key, answer)

    def _key(self, number: int) -> Hashable:
        if self._encoder is not None:
            return self._pass, self._stream.text(number)
        return self._pass, self._stream.tokens(number).tobytes()

    def _run(self, numbers: Sequence[int]) -> None:
        if self._encoder is not None:
            sequences = self._encoder.encode([self._stream.text(number) for number in numbers])
        else:
            sequences = [self._stream.tokens(number) for number in numbers]
        self._output = self._session.run(self._stream.collate(sequences))
        self._lengths = [len(sequence) for sequence in sequences]

    def _rows(self) -> list[Array]:
        """The last output, sequence by sequence, in memory of its own; of tokens, the real ones alone."""
        shape, most = self._output.shape, max(self._lengths)
        has_tokens = len(shape) > 2 and shape[1] >= most
        return [
            np.array(self._output[row][:length] if has_tokens else self._output[row])
            for row, length in enumerate(self._lengths)
        ]
