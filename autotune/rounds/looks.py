"""After which rounds a contest or a duel is looked at."""

from __future__ import annotations

MIN_ROUNDS = 3
"""Rounds before the first look: fewer say next to nothing of their own spread."""


def look_rounds(max_rounds: int) -> tuple[int, ...]:
    """After which rounds a contest is looked at: 3, 6, 12, ... and the last."""
    looks = []
    at = MIN_ROUNDS
    while at < max_rounds:
        looks.append(at)
        at *= 2
    return (*looks, max_rounds)
