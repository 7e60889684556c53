"""README.md documents what there is: every command, every option, every exit code, every export target."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from autotune.cli.exits import MEANINGS
from autotune.cli.main import app
from autotune.exporters.registry import exporters

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that can be run, with the words that name it."""
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from leaves(child, (*path, name))
    if not children:
        yield path, command


COMMANDS = dict(leaves(typer.main.get_command(app), ("autotune",)))


def section(command: str) -> str:
    """The text under the heading that names the command."""
    found = re.search(rf"^### `{re.escape(command)}[^\n]*`.*?(?=^##|\Z)", README, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_a_section_that_names_all_its_options(path: tuple[str, ...]) -> None:
    text = section(" ".join(path))
    assert text, f"README.md has no section on {' '.join(path)}"
    for parameter in COMMANDS[path].params:
        names = [name for name in parameter.opts if name.startswith("--") and name != "--help"]
        for name in names:
            assert f"`{name}" in text, f"{' '.join(path)}: {name} is not documented"


def test_every_exit_code_is_documented() -> None:
    for code in MEANINGS:
        assert re.search(rf"^\| {code} \|", README, re.MULTILINE), f"exit code {code} is not in README.md"


def test_every_export_target_is_documented() -> None:
    for target in exporters():
        assert f"--to {target}" in README
