"""The child that measures how fast cpus compute, and what is made of its answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.trial.speed import SpeedProbe, UsualSpeed, mean_seconds, speed_probe

pytestmark = pytest.mark.usefixtures("nothing_left")

CPUS = sorted(os.sched_getaffinity(0))[:2]


def program(text: str) -> subprocess.Popen[bytes]:
    """A child that is no probe."""
    return subprocess.Popen(
        [sys.executable, "-I", "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )


def test_every_cpu_that_is_asked_for_is_measured_again_and_again() -> None:
    with speed_probe() as probe:
        assert probe is not None
        for _ in range(3):
            found = probe.measure(CPUS)
            assert set(found) == set(CPUS)
            assert all(0 < seconds < 0.1 for seconds in found.values())


def test_a_cpu_that_may_not_be_used_is_left_out() -> None:
    with speed_probe() as probe:
        assert probe is not None
        assert set(probe.measure([CPUS[0], 60_000])) == {CPUS[0]}


def test_between_questions_it_does_nothing() -> None:
    with speed_probe() as probe:
        assert probe is not None
        probe.measure(CPUS)
        time.sleep(0.2)
        process = psutil.Process(probe.pid)
        before = process.num_ctx_switches(), process.cpu_times()
        time.sleep(0.3)
        assert (process.num_ctx_switches(), process.cpu_times()) == before


def test_a_probe_that_is_killed_says_nothing_any_more() -> None:
    with speed_probe() as probe:
        assert probe is not None
        assert probe.measure(CPUS)
        psutil.Process(probe.pid).kill()
        assert probe.measure(CPUS) == {}
        assert probe.measure(CPUS) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "print('hello')",
        "print('{}')",
        "print('{\"seconds\": 3}')",
        'print(\'{"seconds": {"x": 1}}\')',
        "import os\nwhile True: os.write(1, b'x' * 65536)",
    ],
)
def test_a_child_that_is_no_probe_says_nothing(text: str) -> None:
    with program(text) as process:
        assert SpeedProbe(process).measure(CPUS) == {}
        process.kill()


def test_without_numpy_there_is_no_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('none here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with speed_probe() as probe:
        assert probe is not None
        assert probe.measure(CPUS) == {}


def test_a_slow_multiplication_is_no_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text(
        "float32 = None\n"
        "def full(*_): return []\n"
        "def empty_like(_): return []\n"
        "def dot(left, right, out): sum(range(10**6 * 3))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with speed_probe() as probe:
        assert probe is not None
        assert probe.measure(CPUS) == {}


PARENT = """
import json, sys, time
from autotune.trial.speed import speed_probe
with speed_probe() as probe:
    print(json.dumps([probe.pid, list(probe.measure([int(sys.argv[1])]))]), flush=True)
    time.sleep(60)
"""


def test_it_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, str(CPUS[0])], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, measured = json.loads(parent.stdout.readline())
        child = psutil.Process(pid)
        parent.kill()
    psutil.wait_procs([child], timeout=30)
    assert measured == [CPUS[0]]
    assert not child.is_running()


def test_speed_is_against_what_is_usual_and_no_record_moves_that() -> None:
    usual = UsualSpeed()
    assert usual.speed(0.002) == 1.0
    for probe_s in (0.002, 0.002, 0.0001):
        usual.learn(probe_s)
    assert usual.speed(0.002) == pytest.approx(1.0)
    assert usual.speed(0.004) == pytest.approx(0.5)


def test_the_mean_of_a_probe_is_over_the_cpus_that_are_asked_for_and_all_probes() -> None:
    probes = [{0: 0.001, 1: 0.004}, {0: 0.004, 1: 0.001}]
    assert mean_seconds(probes, frozenset({0, 1})) == pytest.approx(0.002)
    assert mean_seconds(probes[:1], frozenset({0})) == pytest.approx(0.001)
    assert mean_seconds(probes, frozenset({7})) is None
    assert mean_seconds([], frozenset({0})) is None


@given(st.lists(st.floats(1e-6, 1), min_size=1))
def test_half_of_all_probes_are_at_least_as_fast_as_usual(probes: list[float]) -> None:
    usual = UsualSpeed()
    for probe_s in probes:
        usual.learn(probe_s)
    assert sum(usual.speed(probe_s) >= 1 - 1e-9 for probe_s in probes) >= len(probes) / 2
