"""What an engine says of a failure, in one line."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """What is said first, which is what happened; graphs and advice follow."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def first_cause(error: BaseException) -> str:
    """What the first of the causes says; compilers wrap it in advice on how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
