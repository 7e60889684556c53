"""The requests that are sent to a running server: a file of the user's, or texts like those of the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from autotune.plan.document import Plan
from autotune.plan.study import spec_of

MOST_BYTES: Final = 64 * 2**20
MOST_BODIES: Final = 100_000

USUAL_TOKENS: Final = 32
"""Of a text, where the plan does not say how many its requests have."""

USUAL_ANSWERS: Final = "application/octet-stream"
"""What that example gives fastest: many numbers as JSON take it longer than a small model."""

_WORDS: Final = (
    "the",
    "weather",
    "is",
    "fine",
    "today",
    "and",
    "nobody",
    "has",
    "a",
    "bad",
    "day",
    "by",
    "river",
)
"""Each is one token to the usual vocabularies of English."""
_SPECIAL: Final = 2
"""Tokens that tokenizers add to a text."""


def read_bodies(path: Path) -> tuple[bytes, ...]:
    """Read a file of JSON lines: each line is the body of a request, sent as it is.

    Raises:
        ValueError: says what is wrong, and where.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise ValueError(f"{str(path)!r} has more than {MOST_BYTES // 2**20} MiB: give some of its lines")
    bodies: list[bytes] = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number} of {str(path)!r} is no JSON value: {error}") from error
        bodies.append(line.strip())
    if not bodies or len(bodies) > MOST_BODIES:
        raise ValueError(
            f"{str(path)!r} has {len(bodies)} requests: give from 1 to {MOST_BODIES}, one "
            "JSON value to a line"
        )
    return tuple(bodies)


def usual_bodies(plan: Plan) -> tuple[bytes, ...]:
    """Make requests of the plan's batch size and about its lengths, as the example of FastAPI takes them.

    Raises:
        PlanError: the study in the plan is wrong.
    """
    batch = spec_of(plan).problem.batch_size
    words = max(1, round(tokens_of(plan)) - _SPECIAL)
    texts = [" ".join(_WORDS[(row + place) % len(_WORDS)] for place in range(words)) for row in range(batch)]
    return (json.dumps({"texts": texts}).encode(),)


def tokens_of(plan: Plan) -> float:
    """Say how many tokens a sequence of the plan's has: all of them, or the middle one."""
    length = plan.instances[0].worker.sequence_length
    if length is not None:
        return length
    return USUAL_TOKENS if plan.requests is None else plan.requests.median_tokens
