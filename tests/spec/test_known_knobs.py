"""Knobs are found by the entry points of engines, and cost no more than that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOK_UP = """
import json, sys
import autotune.spec.study
before = sorted(name for name in sys.modules if name.startswith("autotune.backends"))
from autotune.spec.known_knobs import find_knob, known_knobs
own, imported = find_knob("spinning").what, "loud" in sys.modules
print(json.dumps({
    "before": before,
    "own": own,
    "imported": imported,
    "known": list(known_knobs()),
    "then": "loud" in sys.modules,
    "heavy": sorted({"numpy", "torch", "onnxruntime", "openvino"} & sys.modules.keys()),
}))
"""

LOUD = """
from autotune.spec.knob import Knob
class Backend:
    name = "loud"
    precisions = ("fp32",)
    packages = ()
    install_hint = ""
    unsupported = environment = prepare = load = load_with = lambda *_: None
    knobs = {Knob("loudness", ("low", "high"), "how loud it is"): ("fp32",)}
"""


def look_up(plugins: Path) -> Any:
    ended = subprocess.run(
        [sys.executable, "-P", "-c", LOOK_UP],
        env={**os.environ, "PYTHONPATH": str(plugins)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(ended.stdout)


def test_knobs_are_looked_up_when_they_are_asked_for_without_numpy_or_an_engine(
    install_backend: Callable[[str, str, str], Path],
) -> None:
    found = look_up(install_backend("loud", "loud", LOUD))
    assert (found["before"], found["heavy"]) == ([], [])
    assert {"allocator", "spinning", "streams", "loudness"} <= set(found["known"])
    assert found["known"] == sorted(found["known"])


def test_a_plug_in_is_imported_only_if_autotune_has_no_such_knob(
    install_backend: Callable[[str, str, str], Path],
) -> None:
    found = look_up(install_backend("loud", "loud", LOUD))
    assert (found["own"], found["imported"]) == ("whether idle threads of ONNX Runtime stay awake", False)
    assert found["then"]


def test_a_plug_in_that_cannot_be_imported_declares_nothing_and_harms_nobody(
    install_backend: Callable[[str, str, str], Path],
) -> None:
    found = look_up(install_backend("loud", "loud", "raise RuntimeError('no sound card')"))
    assert "spinning" in found["known"]
    assert "loudness" not in found["known"]
