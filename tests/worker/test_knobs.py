from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import autotune
from autotune.measurement.measurement import Failure, FailureKind, Measurement
from autotune.placement.assignment import Assignment
from autotune.placement.knobs import knob_environment
from autotune.placement.preloads import find_preload
from autotune.spec.allocator import ALLOCATOR
from autotune.spec.configuration import Configuration
from autotune.testing.fake_trial import FakeTrial
from autotune.worker.knobs import knob_differences, process_knobs

READ_BACK = """
import json
from autotune.worker.knobs import process_knobs
print(json.dumps(process_knobs()))
"""


SYSTEM_PYTHON = Path("/usr/bin/python3")
"""Debian's is not position-independent, and has a stub for `malloc` of its own."""

OLDEST = (3, 11)
"""Python that autotune runs in."""


def read_back(variables: dict[str, str], python: str = sys.executable) -> dict[str, str]:
    ended = subprocess.run(
        [python, "-c", READ_BACK],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(ended.stdout)
    return found


def test_the_allocator_of_this_process_is_the_usual_one() -> None:
    assert process_knobs()["allocator"] == "glibc"


@pytest.mark.parametrize("allocator", [one.value for one in ALLOCATOR.preloads])
def test_a_preloaded_allocator_is_the_one_that_gives_out_memory(allocator: str) -> None:
    if find_preload("allocator", allocator) is None:
        pytest.skip(f"{allocator} is not installed")
    seen = read_back(knob_environment({"allocator": allocator}))
    assert list(knob_differences(f"allocator={allocator}", seen)) == []
    others = [one.value for one in ALLOCATOR.preloads if one.value != allocator]
    assert [next(knob_differences(f"allocator={other}", seen), "") for other in others] == [
        f"allocator is {seen['allocator']}, not {other}" for other in others
    ]


@pytest.mark.parametrize("allocator", ["glibc", *(one.value for one in ALLOCATOR.preloads)])
def test_the_systems_own_python_says_which_allocator_it_has(allocator: str) -> None:
    if not runs_autotune(SYSTEM_PYTHON):
        pytest.skip(f"{SYSTEM_PYTHON} is not there, or too old")
    if allocator != "glibc" and find_preload("allocator", allocator) is None:
        pytest.skip(f"{allocator} is not installed")
    package = {"PYTHONPATH": str(Path(autotune.__file__).parent.parent)}
    seen = read_back({**package, **knob_environment({"allocator": allocator})}, str(SYSTEM_PYTHON))
    assert list(knob_differences(f"allocator={allocator}", seen)) == []


def runs_autotune(python: Path) -> bool:
    """Whether it is there, and new enough."""
    asks = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    return python.is_file() and subprocess.run([python, "-c", asks], check=False).returncode == 0


def test_a_library_that_could_not_be_preloaded_is_noticed(tmp_path: Path) -> None:
    seen = read_back({"LD_PRELOAD": str(tmp_path / "gone.so")})
    assert list(knob_differences("allocator=jemalloc", seen)) == ["allocator is glibc, not jemalloc"]


def test_an_allocator_at_a_path_is_known_by_its_path() -> None:
    path = find_preload("allocator", "jemalloc")
    if path is None:
        pytest.skip("jemalloc is not installed")
    seen = read_back(knob_environment({"allocator": str(path)}))
    assert list(knob_differences(f"allocator={path}", seen)) == []
    assert list(knob_differences("allocator=/usr/lib/other.so", seen)) == [
        f"allocator is {seen['allocator']}, not /usr/lib/other.so"
    ]


def test_what_nothing_shows_is_a_difference() -> None:
    assert list(knob_differences("spinning=off", {})) == [
        "spinning should be off, which nothing in the worker shows"
    ]
    assert list(knob_differences("", {})) == []


class KnobTrial(FakeTrial):
    """A trial of the fake engine with knobs."""

    knobs = "spinning=off"

    @property
    def configuration(self) -> Configuration:
        return replace(super().configuration, knobs=self.knobs)

    def assignment(self, instance: int) -> Assignment:
        return replace(super().assignment(instance), knobs=self.knobs)


def test_a_worker_reports_the_knobs_that_it_has(tmp_path: Path) -> None:
    result = KnobTrial(tmp_path, {}).run()
    assert isinstance(result, Measurement), result
    assert result.observations[0].knobs == {
        "allocator": "glibc", "optimization": "all", "spinning": "off",
    }  # fmt: skip


def test_a_trial_that_got_something_else_fails(tmp_path: Path) -> None:
    result = KnobTrial(tmp_path, {"faults": [{"fault": "wrong_knobs"}]}).run()
    assert isinstance(result, Failure)
    assert (result.kind, result.reason) == (FailureKind.PLACEMENT, "spinning is on, not off")
