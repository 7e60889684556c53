"""Finds what an instance does in a window, by the scenario's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from autotune.spec.scenario import SCENARIOS, Scenario
from autotune.worker.board import Board
from autotune.worker.messages import Window
from autotune.worker.window import Call, Times, sleep_until

RunPart = Callable[[Call, Window, Board | None], Times]
"""Runs this instance's part of a window that has begun; the board is None for a single instance."""

RUNS: Final[Mapping[Scenario, RunPart]] = {
    name: import_module(f"autotune.worker.scenarios.{name}").run
    for name, traits in SCENARIOS.items()
    if not traits.has_arrivals
}
"""`run` of each module whose scenario has windows, imported before the first one begins."""


def run_window(request: Call, window: Window, board: Board | None) -> Times:
    """Run this instance's part of a window; `board` is None for a single instance."""
    sleep_until(window.start_s)
    return RUNS[window.scenario](request, window, board)
