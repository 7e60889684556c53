"""Ends a command on a signal so that it can keep what it has."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

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
    """While it is entered, each of `SIGNALS` raises KeyboardInterrupt where the process waits.

    Elsewhere it is only remembered, for the search to ask before its next trial: Python loses an exception
    that is raised while it collects garbage, and a library may be halfway through a change. It is raised
    once, so that a second Ctrl-C does not break into keeping what there is; every fifth raises wherever it
    comes. A signal that the process was started to ignore (as `nohup` does with SIGHUP) stays ignored.

    Attributes:
        came: whether a signal has come.
    """

    def __init__(self) -> None:
        self.came = False
        self._raised = False
        self._count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, _number: int, frame: FrameType | None) -> None:
        self.came = True
        self._count += 1
        waits = frame is not None and frame.f_globals.get("__name__") in WAITING_MODULES
        if (waits and not self._raised) or self._count % INSISTENCE == 0:
            self._raised = True
            raise KeyboardInterrupt
