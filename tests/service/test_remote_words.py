"""What errors advise over HTTP can be done by who has no command line there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import autotune
from autotune.documents.remote_words import RemoteReader, remote_words

ROOMS = ("exporters", "fleet", "plan", "search", "backends", "jobs", "spec", "store/lookup.py")
"""Whose refusals come to who asks over HTTP."""

LEFT = ("exporters/write.py",)
"""Writes files, which no service does."""

COMMANDS = re.compile(r"`autotune [a-z]|(?<![\w`'])--[a-z]{2}| -o ")


def remedies() -> Iterator[str]:
    """Every text of a remedy as it is written, with a word in the place of each value."""
    package = Path(autotune.__file__).parent
    for room in ROOMS:
        place = package / room
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            if str(path.relative_to(package)) not in LEFT:
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                    if isinstance(node, ast.keyword) and node.arg == "remedy":
                        yield from texts(node.value)


def texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "value" for part in node.values)


@pytest.mark.parametrize("reader", ["api", "page"])
def test_no_remedy_names_a_command_or_an_option_to_who_has_none(reader: RemoteReader) -> None:
    told = {remedy: remote_words(remedy, reader) for remedy in remedies()}
    assert len(told) > 100
    assert {remedy: words for remedy, words in told.items() if COMMANDS.search(words)} == {}
    assert [remedy for remedy, words in told.items() if not words.strip()] == []


@pytest.mark.parametrize(
    ("told", "api", "page"),
    [
        (
            "name a machine type of a table (--type, --prices FILE)",
            "name a machine type of a table (`type`, `prices`)",
            "name a machine type of a table (type, prices)",
        ),
        ("give --set image=...", "give the target's option `image`", "give the option image"),
        (
            "`autotune export --to numactl --help-options` lists what there is",
            "GET /api/v1/targets lists what there is",
            "the target's page lists what there is",
        ),
        (
            "rename the study (--name NEW), use another store (--store URL), or restore what differs",
            "rename the study (its `name`), or restore what differs",
            "rename the study (its name), or restore what differs",
        ),
        (
            "hf:a/b@main is not in the local cache, and --offline was given",
            "hf:a/b@main is not in the local cache, and this service may not download models",
            "hf:a/b@main is not in the local cache, and this service may not download models",
        ),
        ("start it with --root DIR", "start it with --root DIR", "start it with --root DIR"),
    ],
)
def test_options_become_members_of_requests_and_fields_of_pages(told: str, api: str, page: str) -> None:
    assert (remote_words(told, "api"), remote_words(told, "page")) == (api, page)
