"""The one module that prints: results on stdout, messages on stderr, plain text when not a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tab and newline: text from engines and files must not drive the terminal."""


def result_json(value: Any) -> None:
    """Print one JSON document on stdout, keys in their own order."""
    _write(sys.stdout, json.dumps(value, indent=2, allow_nan=False) + "\n")


def result_text(text: str) -> None:
    """Print text on stdout, as it is but for control characters."""
    _write(sys.stdout, printable(text) + "\n")


def result_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout: drawn on a terminal, else a title and aligned columns, never cut."""
    cells = [[printable(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw_table(title, columns, cells)
    else:
        _write(sys.stdout, plain_table(title, columns, cells))


def message(text: str) -> None:
    """Print one message on stderr; on a terminal it takes the place of a status line."""
    _write(sys.stderr, f"{_line_start()}{printable(text)}\n")


def status(text: str) -> None:
    """Show one line on a terminal's last line until the next message; elsewhere nothing.

    It is drawn once and never by itself: nothing runs beside the workers that are measured.
    """
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        _write(sys.stderr, _line_start() + printable(text).replace("\n", " ")[:width])


def stopping() -> None:
    """Say on stderr that a signal was heard, as ending may take a while; for use in a signal's handler.

    Written past Python's own buffer, which the handler may have broken into.
    """
    with suppress(OSError):
        os.write(2, f"{_line_start()}stopping; whatever was measured so far is kept\n".encode())


def error(text: str) -> None:
    """Print an error on stderr, marked as one (and red on a terminal)."""
    mark = "\x1b[31merror:\x1b[0m" if sys.stderr.isatty() else "error:"
    _write(sys.stderr, f"{_line_start()}{mark} {printable(text)}\n")


def printable(text: str) -> str:
    """The text with control characters (but tab and newline) shown as `\\x1b` and the like."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A title line, then the columns aligned to their widest cell, two blanks between."""
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    heading = [title] if title else []
    return "".join(f"{line.rstrip()}\n" for line in (*heading, *padded))


def _draw_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    heading = Text(title) if title else None
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout).print(table)


def _line_start() -> str:
    """What clears a status line: to the first column, erase to the end."""
    return "\r\x1b[K" if sys.stderr.isatty() else ""


def _write(stream: TextIO | None, text: str) -> None:
    try:
        if stream is None:
            raise OSError("the output is closed")
        stream.write(text)
        stream.flush()
    except OSError:
        # Nobody can read messages any more (a closed terminal, a full disk); what runs goes on.
        if stream is not sys.stderr:
            raise
