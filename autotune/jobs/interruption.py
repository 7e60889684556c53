"""Stops a job on a signal so that it can keep what it has."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

from autotune.events import Emit, Event, SearchEnded, TrialBegan
from autotune.stop import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a service manager, and a terminal that was closed."""

WAITING_MODULES = frozenset(
    (
        *("selectors", "subprocess", "autotune.locks", "autotune.trial.launcher"),
        "autotune.model.fork_server",
    )
)
"""Where the process waits for workers, children and locks; it spends nearly all of its time there."""

INSISTENCE = 5
"""So many signals mean that somebody wants it to end at any price."""


class Interruption:
    """While it is entered, each of its signals sets `stop`, and raises `Stopped` where the process waits.

    Elsewhere the job asks `stop` before its next trial: Python loses an exception
    that is raised while it collects garbage, and a library may be halfway through a change. It is raised
    once, here or by `Stop.heed`, so that a second Ctrl-C does not break into keeping what there is; every
    fifth raises wherever it comes. A signal that the process was started to ignore (as `nohup` does with
    SIGHUP) stays ignored.
    """

    def __init__(
        self,
        stop: Stop,
        signals: Sequence[signal.Signals] = SIGNALS,
        *,
        on_first: Callable[[], None] = lambda: None,
    ) -> None:
        """Handle these signals while it is entered.

        Args:
            on_first: told of the first signal, inside its handler: what it does may break into anything.
        """
        self._stop = stop
        self._signals = signals
        self._on_first = on_first
        self._count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        for number in self._signals:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, _number: int, frame: FrameType | None) -> None:
        self._stop.set()
        self._count += 1
        if self._count == 1:
            self._on_first()
        waits = frame is not None and frame.f_globals.get("__name__") in WAITING_MODULES
        if (waits and self._stop.may_break) or self._count % INSISTENCE == 0:
            self._stop.heed()


class SearchHeard:
    """Passes on what is told of a job, and remembers whether its search has begun.

    Whoever insists may end a job where it can give no value any more.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.has_begun = False

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        self.has_begun = self.has_begun or isinstance(event, TrialBegan | SearchEnded)
        self._emit(event)


def signals_left_to_python() -> tuple[signal.Signals, ...]:
    """Give Ctrl-C where the program has left it to Python, and nothing else, as `asyncio.run` does.

    Other threads than the main one get no signals; a handler of the program's own stays in its place.
    """
    is_main = threading.current_thread() is threading.main_thread()
    is_pythons = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return (signal.SIGINT,) if is_main and is_pythons else ()
