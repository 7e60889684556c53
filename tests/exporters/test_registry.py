from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autotune.errors import ExportError
from autotune.exporters.exporting import export
from autotune.exporters.json import JsonExporter
from autotune.exporters.registry import exporter_names, exporters, get_exporter
from autotune.plan.launch import launch_of
from autotune.testing.plans import build_plan


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str = "theirs") -> None:
    """Put somebody else's distribution with one exporter on the import path."""
    information = folder / "theirs-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[autotune.exporters]\n{name} = their_module:Theirs\n")
    (folder / "their_module.py").write_text(module)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "their_module", raising=False)


def test_the_built_in_targets_are_found() -> None:
    assert {"json", "numactl"} <= set(exporter_names())
    assert {"json", "numactl"} <= set(exporters())
    assert isinstance(get_exporter("json"), JsonExporter)


@pytest.mark.parametrize(
    ("name", "remedy"), [("numctl", "did you mean numactl"), ("xyz", "there are: compose, env, ")]
)
def test_an_unknown_target_names_the_known_ones(name: str, remedy: str) -> None:
    with pytest.raises(ExportError, match=repr(name)) as caught:
        get_exporter(name)
    assert remedy in caught.value.remedy


def test_somebody_elses_exporter_comes_through_the_same_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = (
        "from autotune.exporters.json import JsonExporter\nclass Theirs(JsonExporter):\n    name = 'theirs'\n"
    )
    install(tmp_path, monkeypatch, module)
    assert get_exporter("theirs").name == "theirs"
    assert "theirs" in exporter_names()


def test_no_exporter_takes_the_place_of_a_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "class Theirs:\n    name = 'json'\n", name="json")
    assert isinstance(get_exporter("json"), JsonExporter)
    assert isinstance(exporters()["json"], JsonExporter)
    assert exporter_names().count("json") == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('cpus')", "KeyError: 'cpus'"),
        ("return {'a': 'b'}", "it gives {'a': 'b'} in the place of"),
    ],
)
def test_an_exporter_that_breaks_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    module = (
        "from autotune.exporters.json import JsonExporter\nclass Theirs(JsonExporter):\n    name = 'theirs'\n"
        f"    def render(self, launch, options): {body}\n"
    )
    install(tmp_path, monkeypatch, module)
    exporter = get_exporter("theirs")
    with pytest.raises(ExportError) as caught:
        export(exporter, launch_of(build_plan()), exporter.options())
    assert caught.value.problem.startswith(f"the exporter theirs of their_module breaks: {words}")
    assert "uninstall" in caught.value.remedy


def test_an_exporter_that_cannot_be_loaded_is_named_and_hinders_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "import no_such_module\n")
    with pytest.raises(ExportError, match=r"'theirs' of theirs .*no_such_module"):
        get_exporter("theirs")
    assert get_exporter("json").name == "json"


def test_an_exporter_of_an_earlier_protocol_is_told_from_one_of_todays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "class Theirs:\n    name = 'theirs'\n    def render(self, plan): ...\n")
    with pytest.raises(
        ExportError, match=r"'theirs' of theirs .* earlier autotune: it lacks summary, prog"
    ) as caught:
        get_exporter("theirs")
    assert "update or uninstall" in caught.value.remedy
