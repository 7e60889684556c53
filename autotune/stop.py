"""A wish to end a job early, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Ends what is under way where a job was told to stop; whoever has something to show for it catches this.

    No `Exception`, so that nothing takes it for a failure of what was measured.
    """


class Stop:
    """Tells a job to end, from a signal handler or from another thread; jobs ask between trials and runs.

    Setting it is one assignment without a lock: a handler may interrupt whoever asks.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._is_heeded = False
        self._is_finishing = False

    @property
    def is_set(self) -> bool:
        """Whether the job is to end."""
        return self._is_set

    @property
    def may_break(self) -> bool:
        """Whether what is waited for may be broken off, so that the job ends sooner.

        Not once it is ending: keeping what there is may wait for a child, too.
        """
        return not self._is_heeded and not self._is_finishing

    def set(self) -> None:
        """Have the job end before its next trial, run or look."""
        self._is_set = True

    def heed(self) -> None:
        """Go on only where nobody wants the job to end.

        Raises:
            Stopped: it is to end.
        """
        if self._is_set:
            self._is_heeded = True
            raise Stopped

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Let nothing be broken off in here: the job has its result, or its error, and only clears up."""
        before, self._is_finishing = self._is_finishing, True
        try:
            yield
        finally:
            self._is_finishing = before
