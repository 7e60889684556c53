"""Finds what only a shell would understand in a command line that no shell reads."""

from __future__ import annotations

import re
import shlex
from typing import Final

NO_SHELL: Final = "no shell reads it: write the words alone, or bash -c 'exec ...' around all of it"

_OPERATORS: Final = re.compile(r"[();<>|&]+")
"""A word of these alone is a shell's, as long as it is not quoted. Source: shlex, `punctuation_chars`."""
_EXPANDED: Final = re.compile(r"^[#~]|\$[A-Za-z_{(0-9]|`")
"""What a shell puts something else in the place of, or reads no further at."""
_LITERAL: Final = re.compile(r"'[^']*'|\\.")
"""What no shell touches."""


def shell_syntax(text: str) -> str:
    """Give the first word that is a shell's operator, or that a shell would expand; empty without any.

    Args:
        text: that `shlex.split` can read.
    """
    reader = shlex.shlex(text, posix=False, punctuation_chars=True)
    reader.whitespace_split, reader.commenters = True, ""
    for word in reader:
        if _OPERATORS.fullmatch(word) or _EXPANDED.search(_LITERAL.sub("", word)):
            return str(word)
    return ""
