"""`autotune engines` in processes of its own, with plug-ins that are broken or not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Install = Callable[[str, str, str], Path]

ABSENT = """
class Backend:
    name = "zippy"
    precisions = ("fp32", "bf16")
    packages = ("zippy-engine",)
    install_hint = "pip install zippy-engine"

    def unsupported(self, precision, isa, model_kind):
        return "zippy has no bf16 on cpus" if precision == "bf16" else None

    def environment(self, threads):
        return {}

    def prepare(self, model, precision, directory):
        raise AssertionError("it is not installed")

    load = prepare
"""

WITHOUT_ENGINES = """
import sys
sys.argv = ["autotune", "engines", "--json"]
from autotune.cli.main import run
status = run()
engines = {"torch", "transformers", "onnxruntime", "onnx", "openvino", "nncf", "ctranslate2", "jax"}
sys.exit(f"{status} {engines & set(sys.modules)}" if status or engines & set(sys.modules) else 0)
"""


def run(*arguments: str, plugins: Path | None = None, cwd: Path | None = None) -> tuple[int, str, str]:
    environment = {**os.environ, **({"PYTHONPATH": str(plugins)} if plugins else {})}
    ended = subprocess.run(
        [sys.executable, "-m", "autotune", *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def listed(plugins: Path | None = None) -> dict[str, Any]:
    status, out, err = run("engines", "--json", plugins=plugins)
    assert status == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def test_the_list_says_what_is_installed_and_what_it_can_do_here() -> None:
    document = listed()
    assert document["schema"] == "autotune.engines/1"
    pytorch = next(one for one in document["engines"] if one["name"] == "pytorch")
    assert pytorch["installed"]
    assert "torch" in pytorch["versions"]
    assert "fp32" in pytorch["precisions"]
    assert pytorch["missing"] == []


def test_what_is_not_installed_is_told_with_the_command_that_installs_it(install_backend: Install) -> None:
    folder = install_backend("zippy", "zippy", ABSENT)
    zippy = next(one for one in listed(folder)["engines"] if one["name"] == "zippy")
    assert zippy["installed"] is False
    assert zippy["missing"] == ["zippy-engine"]
    assert zippy["precisions"] == ["fp32"]
    assert zippy["refused"] == {"bf16": "zippy has no bf16 on cpus"}
    _, text, _ = run("engines", plugins=folder)
    assert "to install zippy (lacks zippy-engine): pip install zippy-engine" in text.splitlines()
    assert "not here: zippy bf16: zippy has no bf16 on cpus" in text.splitlines()


def test_a_broken_plug_in_is_told_in_one_sentence_and_the_others_stay(install_backend: Install) -> None:
    folder = install_backend("shaky", "shaky", "import engine_that_is_not_there")
    document = listed(folder)
    (sentence,) = [one for one in document["broken"] if "'shaky'" in one]
    assert "engine_that_is_not_there" in sentence
    assert "pytorch" in [one["name"] for one in document["engines"]]
    assert sentence in run("engines", plugins=folder)[1].splitlines()


def test_every_engine_has_a_row() -> None:
    status, text, _ = run("engines")
    assert status == 0
    rows = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert {one["name"] for one in listed()["engines"]} <= rows


def test_listing_the_engines_imports_none() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_ENGINES], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


STUDY = "model: random:minilm-l6\nproblem: {{batch_size: 1, sequence_length: 8}}\nsearch: {search}\n"


@pytest.mark.parametrize(
    ("search", "code", "words"),
    [
        ("{backends: [zippy]}", 7, ("zippy needs zippy-engine", "pip install zippy-engine")),
        ("{backends: [zipy]}", 7, ("did you mean zippy?",)),
        ("{backends: [onnxruntime], precisions: [int9]}", 4, ("int9", "int8-dynamic")),
        ("{backends: [fake]}", 7, ("fake models only", "`autotune engines`")),
        ("{backends: [pytorch, fake]}", 4, ("'fake' cannot be used", "pytorch", "`autotune engines`")),
    ],
)
def test_a_study_that_names_what_cannot_be_used_is_told_what_to_do_next(
    install_backend: Install, tmp_path: Path, search: str, code: int, words: tuple[str, ...]
) -> None:
    folder = install_backend("zippy", "zippy", ABSENT)
    (tmp_path / "study.yaml").write_text(STUDY.format(search=search))
    status, out, err = run("tune", "study.yaml", "--dry-run", plugins=folder, cwd=tmp_path)
    assert (status, out) == (code, "")
    assert all(word in err for word in words), err


def test_a_dry_run_lists_what_is_left_out_with_the_reasons(install_backend: Install, tmp_path: Path) -> None:
    folder = install_backend("zippy", "zippy", ABSENT)
    (tmp_path / "study.yaml").write_text(STUDY.format(search="{}"))
    status, out, err = run("tune", "study.yaml", "--dry-run", plugins=folder, cwd=tmp_path)
    assert status == 0, err
    assert "not searched: zippy is not installed (zippy-engine): pip install zippy-engine" in out
