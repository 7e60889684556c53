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
        (
            WORKING.format(name="shaky")
            + "    @property\n    def knobs(self): raise OSError('no licence')\n",
            "cannot be read: OSError: no licence",
        ),
        (WORKING.format(name="shaky") + "    packages = 'shaky'\n", "its packages are no list of texts"),
        (WORKING.format(name="shaky") + "    install_hint = None\n", "its install_hint is no text"),
        (
            WORKING.format(name="shaky") + "    precisions = ('fp31',)\n",
            "nobody knows the precision 'fp31': there are fp32, bf16",
        ),
        (
            WORKING.format(name="shaky") + "    precisions = 'fp32', ['int8']\n",
            "its precisions are no list of texts",
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


KNOBS_OF = """
from autotune.spec.known_knobs import find_knob, known_knobs
from autotune.backends.registry import backends, broken_backends
assert all(find_knob(name) == knob for name, knob in known_knobs().items())
found = {name: known_knobs()[name].what for name in ("shoe", "hat") if name in known_knobs()}
print(json.dumps({"found": found, "engines": [*backends()], "broken": broken_backends()}))
"""

CLAIMING = (
    DECLARING
    + "    knobs = {{Knob('shoe', ('off', 'on'), '{what}'): (), {more}}}\n    load_with = lambda *_: None\n"
)


def test_an_engine_that_is_left_out_claims_no_name_of_a_knob(
    install_backend: Install, tmp_path: Path
) -> None:
    """Neither one that is no engine, nor one that takes another's knob for something else."""
    hat = "Knob('hat', ('off', 'on'), 'of the second'): ()"
    for name, code in (
        ("aaa", CLAIMING.format(what="of nobody", more="").replace("name = 'shaky'", "name = 'somebody'")),
        ("bbb", CLAIMING.format(what="of the first", more="").replace("shaky", "bbb")),
        ("ccc", CLAIMING.format(what="of the second", more=hat).replace("shaky", "ccc")),
        (
            "ddd",
            CLAIMING.format(what="of the first", more=hat.replace("second", "third")).replace("shaky", "ddd"),
        ),
    ):
        folder = install_backend(name, name, code)
    output = subprocess.run(
        [sys.executable, "-P", "-c", f"import json\n{KNOBS_OF}"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    listed = json.loads(output)
    assert listed["found"] == {"shoe": "of the first", "hat": "of the third"}
    assert {"bbb", "ddd"} <= set(listed["engines"])
    assert [words.split(" of ")[0] for words in listed["broken"]] == ["backend 'aaa'", "backend 'ccc'"]


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
