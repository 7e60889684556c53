"""A wish to end a job early, and what ends it."""

from __future__ import annotations


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

    @property
    def is_set(self) -> bool:
        """Whether the job is to end."""
        return self._is_set

    def set(self) -> None:
        """Have the job end before its next trial, run or look."""
        self._is_set = True

    def heed(self) -> None:
        """Go on only where nobody wants the job to end.

        Raises:
            Stopped: it is to end.
        """
        if self._is_set:
            raise Stopped
