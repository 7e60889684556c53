"""Standard descriptors that whoever started us has closed."""

from __future__ import annotations

import os
import sys

STDIN, STDOUT, STDERR = range(3)

UNSEEN = "stdout is closed: nothing of the result is shown; redirect it to a file, or to /dev/null"


def open_standard_descriptors() -> str:
    """Point standard descriptors that are closed at /dev/null, and give a warning if stdout is one.

    Otherwise the next files that are opened would take their numbers, and a child that is given its own
    standard descriptors, or a library that prints, would hit those.
    """
    closed = [number for number in (STDIN, STDOUT, STDERR) if not _is_open(number)]
    for number in closed:
        _open_at(number)
    if sys.stdin is None:
        sys.stdin = open(STDIN, closefd=False)  # noqa: SIM115 - as Python's own, open to the end
    if sys.stdout is None:
        sys.stdout = open(STDOUT, "w", closefd=False)  # noqa: SIM115 - likewise
    if sys.stderr is None:
        sys.stderr = open(STDERR, "w", closefd=False)  # noqa: SIM115 - likewise
    return UNSEEN if STDOUT in closed else ""


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_at(number: int) -> None:
    """Open /dev/null under this number, for children too."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    if descriptor != number:
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.set_inheritable(number, True)
