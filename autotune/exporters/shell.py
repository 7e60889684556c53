"""Text in scripts of bash: quoted words, and comments that stay comments."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


class ShellText(str):
    """Text that is already safe in a script."""

    __slots__ = ()


def quoted(value: object) -> ShellText:
    """Quote a value as one word of the shell, unless it is `ShellText` already."""
    if isinstance(value, ShellText):
        return value
    text = str(value)
    return ShellText(shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escaped, text))}'")


def words(values: Iterable[object]) -> ShellText:
    """Quote each, and put blanks between."""
    return ShellText(" ".join(map(quoted, values)))


def comment(value: object) -> ShellText:
    """Make text safe behind a `#`: one line, nothing that steers a terminal."""
    return ShellText("".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in str(value)))


@cache
def script_template(name: str) -> Template:
    """Load a template; whatever it inserts is quoted, so that no expression in it can forget to."""
    environment = Environment(
        loader=PackageLoader("autotune.exporters"),
        finalize=quoted,
        undefined=StrictUndefined,
        autoescape=False,
        comment_start_string="{##",  # bash writes `${#array[@]}`
        comment_end_string="##}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"comment": comment, "words": words}
    return environment.get_template(name)


def _escaped(char: str) -> str:
    """One character within `$'...'`: what could steer a terminal or an editor is spelled out in bytes."""
    if char.isprintable() and char not in "'\\":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode())
