"""Whoever watches a job in a test: remembers its events, and has it stop."""

from __future__ import annotations

from typing import TypeVar

from autotune.events import Event, RunEnded
from autotune.stop import Stop

Kind = TypeVar("Kind")


class Listener:
    """Give it to a job as `emit`, and its `stop` as `stop`."""

    def __init__(self, *, stop_after: int | None = None, of: type[Event] = RunEnded) -> None:
        """Begin to listen.

        Args:
            stop_after: have the job stop after so many events of one kind; 0 = at once, None = never.
            of: that kind.
        """
        self.events: list[Event] = []
        self.stop = Stop()
        self._stop_after, self._of = stop_after, of
        self._stop_in_time()

    def __call__(self, event: Event) -> None:
        """Remember an event."""
        self.events.append(event)
        self._stop_in_time()

    def heard(self, kind: type[Kind]) -> list[Kind]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def _stop_in_time(self) -> None:
        if self._stop_after is not None and len(self.heard(self._of)) >= self._stop_after:
            self.stop.set()
