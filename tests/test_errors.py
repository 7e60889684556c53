from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from autotune import errors
from autotune.errors import AutotuneError, StudyFileError


def tree(cls: type[AutotuneError]) -> Iterator[type[AutotuneError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from tree(child)


CLASSES = tuple(cls for cls in tree(AutotuneError) if cls.__module__ == errors.__name__)


def drawn_bases() -> dict[str, str]:
    """Name of every drawn class to that of the one above it; the root's is empty."""
    drawing = (errors.__doc__ or "").split("```")[1]
    bases: dict[str, str] = {}
    above: list[str] = []
    for line in drawing.strip().splitlines():
        indent, name = re.match(r"([│├└─ ]*)(\w+)", line).groups()  # type: ignore[union-attr]
        depth = len(indent) // 4
        bases[name] = above[depth - 1] if depth else ""
        above[depth:] = [name]
    return bases


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {cls.__name__: cls.__base__.__name__ for cls in CLASSES if cls.__base__}
    assert drawn_bases() == real | {"AutotuneError": ""}


def test_every_error_is_drawn_with_what_it_means() -> None:
    drawing = (errors.__doc__ or "").split("```")[1]
    assert all(re.search(r"\w+ {2,}\S", line) for line in drawing.strip().splitlines())


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_tells_its_problem_and_its_remedy(cls: type[AutotuneError]) -> None:
    error = cls("'x' is wrong", remedy="write y")
    assert str(error) == "'x' is wrong\n  write y"
    assert (error.problem, error.remedy) == ("'x' is wrong", "write y")


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_without_a_remedy_is_one_line(cls: type[AutotuneError]) -> None:
    assert str(cls("'x' is wrong")) == "'x' is wrong"


def test_a_study_files_error_begins_with_the_place() -> None:
    error = StudyFileError("0 is not allowed", path="search.instances[2]", remedy="write 1")
    assert str(error) == "search.instances[2]: 0 is not allowed\n  write 1"
    assert error.path == "search.instances[2]"
