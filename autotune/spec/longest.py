"""How long a sequence may be, in tokens. Workers and servers import this, so it loads no pydantic."""

from __future__ import annotations

LONGEST_TEXT = 512
"""Tokens that texts are cut to where neither study nor model has a bound. Source: BERT's positions."""


def shorter(longest: int, place: str) -> str:
    """What to write where sequences have more tokens than a model takes.

    Args:
        place: in the problem, of what says how long they are.
    """
    cut = f"max_length: {longest}"
    if place == "max_length":
        return f"choose at most {longest}"
    if place == "sequence_length":
        return f"choose at most {longest}; requests that differ (`lengths` or `texts`) are cut by `{cut}`"
    return f"choose at most {longest}, or cut longer ones with problem.{cut}"
