"""README.md and docs/ document what there is, and lead where they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from autotune.cli.exits import MEANINGS
from autotune.cli.main import app
from autotune.exporters.registry import exporters
from autotune.series.file import FILE, load_series
from autotune.spec.load import parse_study
from autotune.spec.price_table import read_prices

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "autotune"
BENCHMARKS = REPOSITORY / "studies" / "benchmarks"
FRONT_DOOR = REPOSITORY / "README.md"
PAGES = (FRONT_DOOR, *sorted((REPOSITORY / "docs").glob("*.md")))
COMMAND_PAGE = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")

MAX_FRONT_DOOR_BYTES = 10_000
MAX_PICTURE_BYTES = 200_000
MAX_WIDTH = 120
"""Of prose: it is wrapped at about 100 characters, in README a little wider."""

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
"""Of a picture within a link, both."""
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)
NAMED_PATH = re.compile(r"`(?P<path>[a-z][\w-]*/[\w./-]*|[a-z_]+\.py)`")
"""A file or folder of the repository, or of the package, in a page's text."""
WRITTEN_BY_USERS = {"launch/launch.sh", "onnx/", "result/README.md"}
YAML_BLOCK = re.compile(r"^```yaml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that can be run and is not hidden, with the words that name it."""
    if command.hidden:
        return
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from leaves(child, (*path, name))
    if not children:
        yield path, command


COMMANDS = dict(leaves(typer.main.get_command(app), ("autotune",)))


def section(command: str) -> str:
    """The text under the heading that names the command."""
    match = re.search(
        rf"^### `{re.escape(command)}[^\n]*`.*?(?=^##|\Z)", COMMAND_PAGE, re.MULTILINE | re.DOTALL
    )
    return match[0] if match else ""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_a_section_that_names_all_its_options(path: tuple[str, ...]) -> None:
    text = section(" ".join(path))
    assert text, f"docs/cli.md has no section on {' '.join(path)}"
    for parameter in COMMANDS[path].params:
        names = [name for name in parameter.opts if name.startswith("--") and name != "--help"]
        for name in names:
            assert f"`{name}" in text, f"{' '.join(path)}: {name} is not documented"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_front_door_names_every_command(path: tuple[str, ...]) -> None:
    assert f"`{' '.join(path)}" in FRONT_DOOR.read_text(encoding="utf-8")


def test_every_exit_code_is_documented() -> None:
    for code in MEANINGS:
        assert re.search(rf"^\| {code} \|", COMMAND_PAGE, re.MULTILINE), (
            f"exit code {code} is not in docs/cli.md"
        )


def test_every_export_target_is_documented() -> None:
    for target in exporters():
        assert f"--to {target}" in section("autotune export")


def test_every_benchmark_is_documented() -> None:
    page = (REPOSITORY / "docs" / "contributing.md").read_text(encoding="utf-8")
    programs = [
        path
        for path in BENCHMARKS.glob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    assert programs
    unnamed = [path.name for path in programs if path.stem not in page]
    assert unnamed == []


def test_the_front_door_is_short() -> None:
    assert FRONT_DOOR.stat().st_size <= MAX_FRONT_DOOR_BYTES


def test_the_front_door_has_a_small_picture_of_what_comes_out() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", FRONT_DOOR.read_text(encoding="utf-8"))
    assert pictures
    assert {path for path in pictures if (REPOSITORY / path).stat().st_size > MAX_PICTURE_BYTES} == set()


def test_the_front_door_leads_to_every_page() -> None:
    linked = set(LINK.findall(FRONT_DOOR.read_text(encoding="utf-8")))
    assert {f"docs/{page.name}" for page in PAGES if page != FRONT_DOOR} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    named = {match["path"] for match in NAMED_PATH.finditer(text) if "NAME" not in match["path"]}
    absent = {
        path
        for path in named
        if not any((root / path).exists() for root in (REPOSITORY, PACKAGE, BENCHMARKS))
    }
    assert absent - WRITTEN_BY_USERS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_is_wrapped(page: Path) -> None:
    prose = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    long = [line for line in prose.splitlines() if len(line) > MAX_WIDTH and not line.startswith(("|", "!"))]
    assert long == []


def examples() -> Iterator[Any]:
    """The examples in YAML of all pages."""
    for page in PAGES:
        for number, match in enumerate(YAML_BLOCK.finditer(page.read_text(encoding="utf-8")), 1):
            yield pytest.param(match["text"], id=f"{page.name} {number}")


@pytest.mark.parametrize("text", tuple(examples()))
def test_what_is_shown_of_study_files_and_series_is_understood(text: str, tmp_path: Path) -> None:
    """A part of a study file is filled up with the keys that it needs."""
    values = yaml.safe_load(text)
    if "points" in values:
        (tmp_path / FILE).write_text(text, encoding="utf-8")
        assert len(load_series(tmp_path).studies) == len(values["points"])
        return
    if "prices" in values:
        (tmp_path / "prices.yaml").write_text(text, encoding="utf-8")
        assert len(read_prices(tmp_path / "prices.yaml").machines) == len(values["prices"])
        return
    if "inputs" in values:
        values["model"] = "onnx:model.onnx"
    filled = {"model": "path:model", "problem": {"batch_size": 1, "sequence_length": 128}, **values}
    assert parse_study(yaml.safe_dump(filled), name="example").scenario == values.get("scenario", "offline")


def broken_links(page: Path) -> Iterator[str]:
    """The page's links to files that are not there, or to headings that the file does not have."""
    for target in LINK.findall(CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links, as GitHub makes it of their text."""
    headings = HEADING.findall(CODE_BLOCK.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_a_broken_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Hello, `world`!\n```\n# no heading\n```\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#hello-world) [c](#here) [d](https://example.org) "
        "[e](gone.md) [f](other.md#no-heading) [g](#there) ![h](gone.png)\n```\n[i](gone.md)\n```\n",
        encoding="utf-8",
    )
    assert list(broken_links(page)) == ["gone.md", "other.md#no-heading", "#there", "gone.png"]
