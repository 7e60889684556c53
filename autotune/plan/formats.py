"""A plan's figures in words, one by one: what listings need of a plan and nothing more."""

from __future__ import annotations

from datetime import datetime

from autotune.objectives.catalogue import objective_named


def format_objective_value(objective: str, value: float) -> str:
    """Write the value of an objective of this name, with its unit."""
    return objective_named(objective).format(value)


def format_gain(gain: float | None) -> str:
    """Write how many times better than the baseline: `2.91x`."""
    return "unknown" if gain is None else f"{gain:.2f}x"


def format_time(unix_s: float) -> str:
    """Write a moment in this machine's time zone, to the minute."""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M")
