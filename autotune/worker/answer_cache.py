"""A cache of answers, from which the least recently used one is dropped first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class AnswerCache:
    """Keeps so many answers, by key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """The answer, which is thereby the last one to be dropped; None = there is none."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: Hashable, answer: Any) -> None:
        """Keep an answer, in the place of the one that was not used for longest."""
        self._answers[key] = answer
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)
