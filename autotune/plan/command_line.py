"""Takes the command line of a user's server apart, which no shell will ever read."""

from __future__ import annotations

import shlex

from autotune.errors import ExportError
from autotune.spec.launch import FORM, template_fault
from autotune.spec.shell_syntax import NO_SHELL, shell_syntax


def parse_command(text: str) -> tuple[str, ...]:
    """Take a command line apart into words as a shell does, and check its placeholders.

    Raises:
        ExportError: there is no program in it, a quote is not closed, it wants a shell, or a placeholder is
            unknown.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ExportError(
            f"the command {text!r:.80} cannot be read: {str(error).lower()}", remedy="close what is open"
        ) from error
    if not words or not words[0]:
        raise ExportError(f"the command {text!r:.80} names no program", remedy=f"write one, such as {FORM}")
    if wanted := shell_syntax(text):
        raise ExportError(
            f"the command {text!r:.80} has {wanted!r:.40}, which wants a shell", remedy=NO_SHELL
        )
    for word in words:
        if fault := template_fault(word):
            raise ExportError(f"the command is wrong: {fault}")
    return words
