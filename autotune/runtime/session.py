"""A session that a plan measured, for a server of one's own."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from autotune.backends.protocol import EngineReport, Session
from autotune.errors import ServingError
from autotune.runtime.asked import listed
from autotune.runtime.differences import Difference
from autotune.runtime.filling import Filling
from autotune.runtime.planned import PlannedInstance
from autotune.runtime.reading import TextOrPair, TextReader, Tokens
from autotune.worker.answer_cache import AnswerCache

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, Any]


class MeasuredSession:
    """Answers texts or arrays as the plan's instances did when they were measured.

    Any number of threads may call it. The engine answers one request at a time, as it was measured: a lock
    lets the others wait. Texts are tokenised before that, in the thread that brings them.

    Attributes:
        planned: the instance of the plan that it is.
        differences: how this process differs from the plan, each with what helps; empty where it does not.
    """

    def __init__(
        self,
        planned: PlannedInstance,
        engine: Session,
        filling: Filling,
        reader: TextReader | None = None,
        cache_size: int = 0,
        differences: Sequence[Difference] = (),
    ) -> None:
        """Answer with a loaded engine.

        Args:
            reader: of texts; None where the model has no tokenizer.
            cache_size: answers to texts that are kept; 0 = none.
            differences: from the plan, which were warned of and not refused.
        """
        self.planned = planned
        self.differences = tuple(differences)
        self._engine: Session | None = engine
        self._filling, self._reader = filling, reader
        self._cache = AnswerCache(cache_size) if cache_size else None
        self._lock = threading.Lock()

    def __call__(self, texts: str | Sequence[TextOrPair] | None = None, /, **arrays: Any) -> Array:
        """Answer texts, or one request of token ids.

        Args:
            texts: a text, or any number of texts and pairs of texts: put together into requests, cut and
                filled up as it was measured.
            arrays: `input_ids`, and what else the model takes, `(batch, tokens)` each: one request, as it is
                but for what fills it up. Without `attention_mask` every token is attended to.

        Returns:
            The model's first output, first axis = texts or batch. Where it has one vector for each token, the
            second axis is as long as the longest text, or as `input_ids`; behind shorter texts stand zeros.

        Raises:
            ServingError: the session is closed, there is no tokenizer, or the model takes no such request.
        """
        if texts is None:
            return self._run_arrays(arrays)
        if arrays:
            raise ServingError("there are texts and arrays", remedy="give either of them")
        return stacked(self.answers([texts] if isinstance(texts, str) else texts))

    def answers(self, texts: Sequence[TextOrPair], prompt: str | None = None) -> list[Array]:
        """Give the answer to each text by itself, without what only filled it up.

        Args:
            prompt: what is put before each text; None = what the model's folder says.

        Raises:
            ServingError: as from calling the session.
        """
        reader = self.reader
        texts = listed(texts)
        if self._cache is None:
            return self._run(reader.read(texts, prompt))
        keys: list[Hashable] = [(prompt, text if isinstance(text, str) else tuple(text)) for text in texts]
        with self._lock:
            known = {key: answer for key in keys if (answer := self._cache.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            made = dict(zip(missing, self._run(reader.read(list(missing.values()), prompt)), strict=True))
            with self._lock:
                for key, answer in made.items():
                    self._cache.put(key, answer)
            known |= made
        return [known[key].copy() for key in keys]

    @property
    def reader(self) -> TextReader:
        """What reads texts.

        Raises:
            ServingError: the model has no tokenizer.
        """
        if self._reader is None:
            raise ServingError(
                f"there is no tokenizer of the model of {self.planned.plan} where the plan says",
                remedy="name it: load(tokenizer=FILE); or give input_ids=...",
            )
        return self._reader

    @property
    def folder(self) -> Path | None:
        """Where the model's own files lie, such as `config.json`; None where the plan does not say."""
        folder = self.planned.folder
        return folder if folder is not None and folder.is_dir() else None

    def report(self) -> EngineReport:
        """Say what really runs: engine, version, precision, threads, knobs."""
        with self._lock:
            return self._open().report()

    def close(self) -> None:
        """Release the engine, after the request that it answers; a second time nothing happens."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
            self._engine = None

    def __enter__(self) -> Self:
        """Give the session, which is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _open(self) -> Session:
        if self._engine is None:
            raise ServingError("the session is closed", remedy="load it anew: autotune.runtime.load()")
        return self._engine

    def _run(self, sequences: Sequence[Tokens]) -> list[Array]:
        """Give the answer to each sequence, in their order."""
        lengths = [len(sequence) for sequence in sequences]
        answers: dict[int, Array] = {}
        for request in self._filling.requests(lengths):
            made = self._filling.collate([sequences[index] for index in request])
            with self._lock:
                output = self._open().run(made)
                rows = [_own(output[row], lengths[index], made) for row, index in enumerate(request)]
            answers |= zip(request, rows, strict=True)
        return [answers[index] for index in range(len(sequences))]

    def _run_arrays(self, arrays: dict[str, Any]) -> Array:
        made, (batch, length) = self._filling.complete(arrays)
        with self._lock:
            output = self._open().run(made)
            tokens = _tokens_of(made)
            has_tokens = output.ndim > 2 and output.shape[1] == tokens
            return np.array(output[:batch, :length] if has_tokens else output[:batch])


def stacked(answers: Sequence[Array]) -> Array:
    """Put answers into one array, first axis = answers; behind those of fewer tokens stand zeros."""
    if not answers:
        return np.zeros((0,), dtype=np.float32)
    if len({answer.shape for answer in answers}) == 1:
        return np.stack(answers)
    most = max(answer.shape[0] for answer in answers)
    whole = np.zeros((len(answers), most, *answers[0].shape[1:]), dtype=answers[0].dtype)
    for row, answer in zip(whole, answers, strict=True):
        row[: len(answer)] = answer
    return whole


def _own(answer: Array, length: int, request: dict[str, Array]) -> Array:
    """The answer to one sequence, in memory of its own; of tokens, the real ones alone."""
    has_tokens = answer.ndim > 1 and answer.shape[0] == _tokens_of(request)
    return np.array(answer[:length] if has_tokens else answer)


def _tokens_of(request: dict[str, Array]) -> int:
    return int(next(iter(request.values())).shape[1])
