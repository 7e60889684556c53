"""Backends are found by entry points; a broken plug-in is reported and harms nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.registry import backends, get_backend, package_versions
from autotune.errors import BackendError

LIST_BACKENDS = """
import json
from autotune.backends.registry import backends, broken_backends
found = {name: type(backend).__module__ for name, backend in backends().items()}
print(json.dumps({"found": found, "broken": broken_backends()}))
"""

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import autotune.backends, autotune.model, autotune.preparation, autotune.cli.cache
for package in (autotune.backends, autotune.model, autotune.preparation):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
print(*sorted(name for name in sys.modules if "." not in name or name.startswith("autotune.")))
"""

NAMED = "class Backend:\n    name = '{name}'\n"
WORKING = (
    NAMED
    + "    precisions = packages = ()\n    install_hint = ''\n"
    + "    unsupported = environment = prepare = load = lambda *_: None\n"
)
DECLARING = "from autotune.spec.knob import Knob\n" + WORKING.format(name="shaky")


def list_with_plugins(folder: Path) -> Any:
    output = subprocess.run(
        [sys.executable, "-P", "-c", LIST_BACKENDS],
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    return json.loads(output)


Install = Callable[[str, str, str], Path]


def test_the_built_in_backends_come_through_the_same_door() -> None:
    assert {"pytorch", "onnxruntime", "fake"} <= set(backends())


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BackendError, match="did you mean pytorch"):
        get_backend("pytroch")


def test_a_plugin_is_found(install_backend: Install) -> None:
    folder = install_backend("zippy", "zippy", WORKING.format(name="zippy"))
    listed = list_with_plugins(folder)
    assert listed["found"]["zippy"] == "zippy"
    assert listed["broken"] == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import engine_that_is_not_there", "ModuleNotFoundError"),
        ("class Backend:\n    def __init__(self, x): pass", "TypeError"),
        (WORKING.format(name="somebody else"), "calls itself"),
        (NAMED.format(name="shaky"), "has no precisions, packages, install_hint"),
        (WORKING.format(name="shaky") + "    knobs = {'spinning': ()}\n", "its knobs are not declared"),
        (WORKING.format(name="shaky") + "    times = {'fp32': 1.0}\n", "its times are no StatedTimes"),
        (DECLARING + "    knobs = {Knob('loud', ('off', 'on'), ''): ()}\n", "it has knobs, and no load_with"),
        (
            DECLARING + "    knobs = {Knob('loud', ('off', 'on'), '', prepares=True): ()}\n"
            "    load_with = lambda *_: None\n",
            "no prepare_with and kinds_with_knobs",
        ),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_stay(
    install_backend: Install, code: str, words: str
) -> None:
    folder = install_backend("shaky", "shaky", code)
    listed = list_with_plugins(folder)
    assert "shaky" not in listed["found"]
    assert "pytorch" in listed["found"]
    assert len(listed["broken"]) == 1
    assert words in listed["broken"][0]


def test_no_plugin_can_take_the_place_of_a_built_in_backend(install_backend: Install) -> None:
    folder = install_backend("aaa", "pytorch", WORKING.format(name="pytorch"))
    listed = list_with_plugins(folder)
    assert listed["found"]["pytorch"] == "autotune.backends.pytorch.backend"
    assert len(listed["broken"]) == 1
    assert "aaa" in listed["broken"][0]


def test_importing_every_module_of_models_and_backends_imports_no_engine() -> None:
    output = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_EVERYTHING], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    imported = set(output.split())
    assert {"autotune.backends.onnxruntime.quantize", "autotune.preparation.child"} <= imported
    assert not imported & {"torch", "transformers", "onnxruntime", "onnx", "onnxscript", "huggingface_hub"}
    assert not imported & {"openvino", "nncf", "ctranslate2", "jax", "torchax"}


def test_an_installation_in_place_that_knows_engines_by_where_they_were_is_to_be_repeated(
    tmp_path: Path,
) -> None:
    described = tmp_path / "autotune-0.1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: autotune\nVersion: 0.1.0\n")
    entry = "[autotune.backends]\npytorch = autotune.backends.pytorch:PyTorchBackend\n"
    (described / "entry_points.txt").write_text(entry)
    listed = list_with_plugins(tmp_path)
    assert "pytorch" not in listed["found"]
    assert listed["broken"][0].endswith("(install autotune again, as you installed it)")


def test_versions_are_of_installed_distributions_only() -> None:
    assert package_versions(["numpy", "no-such-distribution"]) == {"numpy": version("numpy")}
