"""The watch over real processes, with a real hog beside them, and over a machine that was written by hand."""

from __future__ import annotations

import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from autotune.errors import MachineError
from autotune.measurement.conditions import disturbance, hard_fact
from autotune.measurement.correction import MeasuredLaunch, learn, load_of
from autotune.measurement.covariates import Explanation, explanation
from autotune.measurement.measurement import Conditions, Failure, Measurement
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.configuration import Configuration
from autotune.spec.study import Measure
from autotune.testing.fake_trial import QUICK, FakeTrial
from autotune.trial.stopping import goodness_of_blocks
from autotune.trial.watch import Observer, Watch

pytestmark = pytest.mark.usefixtures("nothing_left")

CPUS = sorted(os.sched_getaffinity(0))
CONFIGURATION = Configuration(1, 1, "close", "0", False, "fake", "fp32")
TWO_CPUS = pytest.mark.skipif(len(CPUS) < 2, reason="needs two cpus")

BUSY = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
print("busy", flush=True)
while True:
    pass
"""


@contextmanager
def busy_on(cpu: int) -> Iterator[int]:
    """A process that takes all that it gets of one cpu; its process id."""
    command = [sys.executable, "-I", "-S", "-c", BUSY, str(cpu)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_hog_on_a_cpu_of_an_instance_is_seen_and_named() -> None:
    with busy_on(CPUS[0]) as worker, Watch().over([worker], [[CPUS[0]]]) as observer:
        with busy_on(CPUS[0]) as hog:
            observer.before()
            time.sleep(1.0)
            found = observer.after()
        assert found.others_cpus is not None
        assert found.others_cpus >= 0.25
        assert found.waited is None or found.waited >= 0.25
        assert "other processes took" in disturbance(found)
        # Whoever else runs may be named as well, the worker itself never.
        assert found.culprits
        assert not any(name.endswith(f" {worker}") for name in found.culprits)
        assert any(name.endswith(f" {hog}") for name in found.culprits) or len(found.culprits) == 3


@TWO_CPUS
def test_a_hog_on_one_of_the_cpus_of_an_instance_without_its_own_is_seen() -> None:
    with busy_on(CPUS[0]) as worker, Watch().over([worker], [[]]) as observer, busy_on(CPUS[1]):
        observer.before()
        time.sleep(1.0)
        assert "other processes took" in disturbance(observer.after())


def test_conditions_cover_the_window_and_what_is_readable_here() -> None:
    with busy_on(CPUS[0]) as worker, Watch().over([worker], [[CPUS[0]]]) as observer:
        observer.before()
        time.sleep(0.3)
        found = observer.after()
        assert found.window_s >= 0.3
        assert found.steal is not None
        assert found.major_faults is not None
        assert found.speed is not None
        assert found.probe_s is not None
        assert 0 < found.speed < 10
        assert found.lost_cpus == 0
        # A second block reuses the probe of the one before.
        observer.before()
        assert observer.after().speed is not None


def test_a_worker_that_has_ended_is_no_reason_to_fail() -> None:
    with Watch().over([2**22], [[CPUS[0]]]) as observer:
        observer.before()
        found = observer.after()
    assert (found.others_cpus, found.waited, found.major_faults) == (None, None, None)


def test_a_machine_that_tells_nothing_leaves_everything_unknown(tmp_path: Path) -> None:
    with Watch(tmp_path).over([1], [[0]]) as observer:
        observer.before()
        found = observer.after()
    assert found == Conditions(window_s=found.window_s)
    assert disturbance(found) == ""


def test_a_root_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot read a machine"):
        Watch(tmp_path / "nowhere")


def stat_line(name: str, state: str, ticks: int, cpu: int) -> str:
    fields = [state, *["0"] * 10, str(ticks), *["0"] * 24, str(cpu)]
    return f"7 ({name}) {' '.join(fields)}\n"


def test_a_built_machine_on_which_others_ran_is_seen_through_its_files(tmp_path: Path) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/8").mkdir()
    (tmp_path / "proc/stat").write_text("cpu0 100 0 0 0 0 0 0 0\ncpu1 0 0 0 100 0 0 0 0\n")
    (tmp_path / "proc/7/stat").write_text(stat_line("worker", "R", 50, 0))
    with Watch(tmp_path).over([7], [[]]) as observer:
        observer.before()
        time.sleep(0.1)
        (tmp_path / "proc/stat").write_text("cpu0 400 0 0 0 0 0 0 0\ncpu1 0 0 0 100 0 0 0 0\n")
        (tmp_path / "proc/7/stat").write_text(stat_line("worker", "R", 60, 0))
        (tmp_path / "proc/8/stat").write_text(stat_line("hog", "R", 9, 0))
        found = observer.after()
    assert found.others_cpus == pytest.approx(2.9 / found.window_s)
    assert found.culprits == ("hog 8",)
    assert found.speed is None


def test_a_trial_beside_a_hog_has_its_value_and_says_what_it_went_through(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {"timing": "busy"}, cpus=[(CPUS[0],)])
    measure = Measure(warmup_s=1.0, block_s=0.5, blocks=2, max_blocks=2, trial_timeout_s=60.0)
    with busy_on(CPUS[0]):
        result = trial.run(measure, watch=Watch())
    assert isinstance(result, Measurement), result
    assert (len(result.blocks), result.dropped) == (2, ())
    for block in result.blocks:
        assert block.conditions is not None
        assert "other processes took" in disturbance(block.conditions)


TAKING = """
import os, sys
os.sched_setaffinity(int(sys.argv[1]), {int(cpu) for cpu in sys.argv[2].split(",")})
"""


@TWO_CPUS
def test_a_cpu_that_is_taken_away_meanwhile_is_a_hard_fact() -> None:
    mine = os.sched_getaffinity(0)
    with busy_on(CPUS[0]) as worker, Watch().over([worker], [CPUS]) as observer:
        observer.before()
        try:
            subprocess.run([sys.executable, "-c", TAKING, str(os.getpid()), str(CPUS[0])], check=True)
            found = observer.after()
        finally:
            os.sched_setaffinity(0, mine)
    assert found.lost_cpus == len(CPUS) - 1
    assert "taken away" in hard_fact(found)


@TWO_CPUS
def test_a_cpu_that_is_away_when_a_block_begins_is_a_hard_fact_though_it_is_back_when_it_ends() -> None:
    mine = os.sched_getaffinity(0)
    with busy_on(CPUS[0]) as worker, Watch().over([worker], [CPUS]) as observer:
        assert not observer.has_lost_cpus()
        try:
            os.sched_setaffinity(0, {CPUS[0]})
            observer.before()
        finally:
            os.sched_setaffinity(0, mine)
        found = observer.after()
        assert observer.has_lost_cpus()
        observer.before()
        assert observer.after().lost_cpus == 0
    assert found.lost_cpus == len(CPUS) - 1
    assert "taken away" in hard_fact(found)


def test_a_process_of_the_trial_that_is_no_worker_is_no_other(tmp_path: Path) -> None:
    for pid in (7, 8):
        (tmp_path / f"proc/{pid}").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/stat").write_text(stat_line("ours", "R", 0, 0))
    (tmp_path / "proc/stat").write_text("cpu0 0 0 0 0 0 0 0 0\n")
    with Watch(tmp_path).over([7], [[]]) as observer:
        observer.adopt(8)
        observer.before()
        (tmp_path / "proc/stat").write_text("cpu0 900 0 0 0 0 0 0 0\n")
        (tmp_path / "proc/8/stat").write_text(stat_line("ours", "R", 900, 0))
        found = observer.after()
    assert (found.others_cpus, found.culprits) == (0.0, ())


def test_where_speed_cannot_be_probed_a_trial_is_measured_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('none here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    measure = QUICK.model_copy(update={"disturbed": "keep"})
    result = FakeTrial(tmp_path, {}).run(measure, watch=Watch())
    assert isinstance(result, Measurement), result
    for block in result.blocks:
        assert block.conditions is not None
        assert block.conditions.speed is None
        assert block.conditions.window_s >= 0.1


class HogHunter(Watch):
    """A watch that also ends the hog, once it has looked at so many blocks."""

    def __init__(self, hog: int, blocks: int) -> None:
        super().__init__()
        self._hog = hog
        self._left = blocks

    @contextmanager
    def over(self, pids: Sequence[int], cpus: Sequence[Sequence[int]]) -> Iterator[Observer]:
        with super().over(pids, cpus) as observer:
            look = observer.after

            def after() -> Conditions:
                conditions = look()
                self._left -= 1
                if self._left == 0:
                    os.kill(self._hog, signal.SIGKILL)
                return conditions

            observer.after = after  # type: ignore[method-assign]
            yield observer


def test_what_a_hog_did_to_some_blocks_is_learned_and_taken_back(tmp_path: Path) -> None:
    trial = FakeTrial(tmp_path, {"timing": "busy"}, cpus=[(CPUS[0],)])
    measure = Measure(warmup_s=1.0, block_s=0.5, blocks=8, max_blocks=8, trial_timeout_s=60.0)
    with busy_on(CPUS[0]) as hog:
        result = trial.run(measure, watch=HogHunter(hog, 4))
    assert isinstance(result, Measurement), result
    if any(block.conditions and disturbance(block.conditions) for block in result.blocks[4:]):
        pytest.skip("somebody else keeps this machine busy, too")
    values = goodness_of_blocks(result.blocks, "offline", THROUGHPUT)
    known = learn([MeasuredLaunch(CONFIGURATION, tuple(values), explanations(result))])
    corrected = goodness_of_blocks(result.blocks, "offline", THROUGHPUT, known, load_of(CONFIGURATION))
    beside, alone = (statistics.fmean(part) for part in (values[:4], values[4:]))
    assert beside < 0.8 * alone  # the worker shared its cpu
    still = abs(math.log(statistics.fmean(corrected[:4]) / statistics.fmean(corrected[4:])))
    assert still < abs(math.log(beside / alone)) / 2


def explanations(measurement: Measurement) -> tuple[Explanation, ...]:
    return tuple(explanation(block.conditions) for block in measurement.blocks)


def test_the_watch_leaves_nothing_behind_when_the_trial_fails(tmp_path: Path) -> None:
    result = FakeTrial(tmp_path, {"faults": [{"fault": "crash"}]}).run(watch=Watch())
    assert isinstance(result, Failure)
    assert psutil.Process().children() == []


def test_the_energy_of_a_window_is_that_between_both_looks(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    (zone / "energy_uj").write_text("5000000\n")
    with Watch(tmp_path).over([2**22], [[CPUS[0]]]) as observer:
        observer.before()
        (zone / "energy_uj").write_text("7500000\n")
        assert observer.after().energy_j == pytest.approx(2.5)
        (zone / "energy_uj").unlink()
        observer.before()
        assert observer.after().energy_j is None
