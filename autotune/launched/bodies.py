"""The requests that are sent to a running server: a file of the user's, or texts like those of the study."""

from __future__ import annotations

import json
from collections.abc import Iterable
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

_SENTENCE: Final = (
    "the weather is fine today and nobody has a bad day by river we like to see our old town in its first "
    "light some people work all night long for their food while other men sleep under big trees near water "
    "or walk home with two new books from school"
)
_WORDS: Final = tuple(_SENTENCE.split())
"""Each is one token to the usual vocabularies of English, and none comes twice."""
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


def usual_bodies(plan: Plan, count: int) -> tuple[bytes, ...]:
    """Make requests of the plan's batch size and about its lengths, as the example of FastAPI takes them.

    No text comes twice, within a request or among them, so that no cache of answers makes a server fast. The
    exception are texts of so few words that there are not as many.

    Args:
        count: of requests; fewer are made where they would be more than `MOST_BODIES`, or `MOST_BYTES` long.

    Raises:
        PlanError: the study in the plan is wrong.
    """
    batch = spec_of(plan).problem.batch_size
    words = max(1, round(tokens_of(plan)) - _SPECIAL)
    first = _body(range(batch), words)
    made = max(1, min(count, MOST_BODIES, MOST_BYTES // len(first)))
    return tuple(_body(range(batch * number, batch * (number + 1)), words) for number in range(made))


def cached_words(plan: Plan) -> str:
    """Say that texts which never come again are not what a plan with a cache of answers was measured with."""
    rate = None if plan.requests is None else plan.requests.hit_rate
    if not rate:
        return ""
    return (
        f"The plan took {rate:.0%} of its answers from a cache. Here the texts all differ, so that a cache "
        "gives hardly any: send texts of your own with --requests."
    )


def _body(numbers: Iterable[int], words: int) -> bytes:
    return json.dumps({"texts": [_text(number, words) for number in numbers]}).encode()


def _text(number: int, words: int) -> str:
    """Give the text of a number: each digit, in the base of the words, moves the word at its place."""
    chosen = [_WORDS[place % len(_WORDS)] for place in range(words)]
    for place in range(words):
        if number == 0:
            break
        number, digit = divmod(number, len(_WORDS))
        chosen[place] = _WORDS[(place + digit) % len(_WORDS)]
    return " ".join(chosen)


def tokens_of(plan: Plan) -> float:
    """Say how many tokens a sequence of the plan's has: all of them, or the middle one."""
    length = plan.instances[0].worker.sequence_length
    if length is not None:
        return length
    return USUAL_TOKENS if plan.requests is None else plan.requests.median_tokens
