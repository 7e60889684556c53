"""What `--set` is given is taken or refused in words, alike by every target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pytest
from pydantic import Field

from autotune.errors import ExportError
from autotune.exporters.json import JsonExporter
from autotune.exporters.options import REQUIRED, option_rows, read_options
from autotune.exporters.protocol import Exporter, ExportOptions
from autotune.exporters.registry import exporters, get_exporter

PATTERN_SIGNS = ("^", "$", "[", "{", "pattern", "Input should", "String should", "\n")

TARGETS = sorted(exporters())


def required(exporter: Exporter) -> list[str]:
    return [f"{row.name}=example" for row in option_rows(exporter) if row.usual == REQUIRED]


def all_options() -> Iterator[tuple[str, str]]:
    for name, exporter in exporters().items():
        yield from ((name, row.name) for row in option_rows(exporter))


@pytest.mark.parametrize(("target", "option"), list(all_options()))
def test_a_wrong_value_is_refused_in_words_that_say_what_it_may_be(target: str, option: str) -> None:
    exporter = get_exporter(target)
    settings = [*(setting for setting in required(exporter) if not setting.startswith(f"{option}="))]
    with pytest.raises(ExportError) as caught:
        read_options(exporter, [*settings, f"{option}=a \nb"])
    problem = caught.value.problem
    assert problem.startswith(f"--set {option}='a \\nb' is not ")
    assert not [sign for sign in PATTERN_SIGNS if sign in problem]
    assert "what it may be" not in problem, "autotune's own options say it"
    assert "--help-options" in caught.value.remedy


@pytest.mark.parametrize("path", ["", "rel.json", "./rel.json", "../rel.json", "/srv/", "/", "~/p.json"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_target_takes_a_path_of_the_plan_that_depends_on_where_it_starts(target: str, path: str) -> None:
    exporter = get_exporter(target)
    with pytest.raises(ExportError, match="is not the absolute path of a file"):
        read_options(exporter, [*required(exporter), f"plan={path}"])
    assert read_options(exporter, [*required(exporter), "plan=/srv/a b.json"]).plan == "/srv/a b.json"


@pytest.mark.parametrize("image", ["", " ", "bad image", "a\nb", "a\tb", "a\x7fb", "bild:ä"])
@pytest.mark.parametrize("target", ["compose", "kubernetes"])
def test_an_image_has_no_blanks_and_no_line_breaks(target: str, image: str) -> None:
    with pytest.raises(ExportError, match="is not the name of an image"):
        read_options(get_exporter(target), [f"image={image}"])
    digest = f"registry.example:5000/a/b@sha256:{'0' * 64}"
    assert read_options(get_exporter(target), [f"image={digest}"]).model_dump()["image"] == digest


@pytest.mark.parametrize(
    ("target", "setting", "said"),
    [
        ("kubernetes", "memory=2GiB", "a size such as 2Gi or 512Mi"),
        ("systemd", "restart=never", "no or on-failure or always"),
        ("numactl", "grace_s=soon", "a whole number from 0 to 3600"),
        ("numactl", "grace_s=-1", "a whole number from 0 to 3600"),
    ],
)
def test_sizes_choices_and_numbers_are_named(target: str, setting: str, said: str) -> None:
    exporter, (name, _, value) = get_exporter(target), setting.partition("=")
    with pytest.raises(ExportError) as caught:
        read_options(exporter, [*required(exporter), setting])
    assert caught.value.problem == f"--set {name}={value!r} is not {said}"


class TheirOptions(ExportOptions):
    colour: Annotated[str, Field(pattern="^(red|blue)$")] = "red"
    """Colour of the file:
    red, or blue."""


class TheirExporter(JsonExporter):
    name = "theirs"
    options = TheirOptions


def test_an_option_of_others_that_says_nothing_of_its_values_is_explained_by_its_description() -> None:
    with pytest.raises(ExportError) as caught:
        read_options(TheirExporter(), ["colour=green"])
    expected = "--set colour='green' is not what it may be: Colour of the file: red, or blue."
    assert caught.value.problem == expected
