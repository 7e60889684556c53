"""`tune` on simulated hosts of 2 x 24 cores: one, four at once, and some that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from autotune.bench.crew import Crew
from autotune.bench.host import Admission
from autotune.errors import HostLostError, StudyError
from autotune.events import Event, SearchEnded, TrialEnded
from autotune.jobs.interruption import INSISTENCE, Interruption
from autotune.jobs.tuning import INSISTED, Tuned, tune_on
from autotune.measurement.measurement import Failure, FailureKind
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.stop import Stop
from autotune.store.records import ConfirmationRecord, TrialRecord
from autotune.store.store import open_store, read_store
from autotune.testing.fake_model import SCHEMA, read_fake_model
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.simulated_host import Fate, SimulatedConveyor, SimulatedHost, nothing_fails
from autotune.testing.simulation import SimulatedMachine, VirtualClock, surface_of

MODEL: Mapping[str, Any] = {
    "schema": SCHEMA,
    "serial_s": 0.002,
    "parallel_s_per_token": 1e-4,
    "thread_efficiency": 0.6,
    "contention": 0.02,
    "speed": {"fp32": 1.0, "bf16": 0.8, "int8-dynamic": 2.2},
}
TRIALS = 16
STUDY: Mapping[str, Any] = {
    "name": "many",
    "model": "fake:model.json",
    "problem": {"batch_size": 8, "sequence_length": 128},
    "objective": {"kind": "throughput"},
    "scenario": "offline",
    "search": {
        "placements": ["close"],
        "smt": [False],
        "instances": [1, 2, 4, 8],
        "threads": [1, 2, 4, 6],
        "precisions": ["fp32", "int8-dynamic"],
        "knobs": "none",
    },
    "confirm": {"finalists": 2, "rounds": 3},
    "budget": {"trials": TRIALS, "minutes": None},
}
NOISE = Noise(launch=0.02, block=0.02)


class World:
    """A folder with a study, its store, and hosts that are made for it.

    Attributes:
        clock: of all hosts.
    """

    def __init__(self, folder: Path, **study: Any) -> None:
        self.clock = VirtualClock()
        self.store = f"sqlite:///{folder}/autotune.db"
        (folder / "model.json").write_text(json.dumps(MODEL))
        spec = StudySpec.model_validate_json(json.dumps({**STUDY, **study}))
        machine = build_machine(packages=2, nodes_per_package=1, cores_per_node=24)
        self.setup: Setup = set_up(survey(spec, machine), base=folder, offline=True)
        self.surface = surface_of(read_fake_model(folder / "model.json"), spec.problem)

    def host(
        self,
        name: str = "one",
        *,
        dies_at_s: float | None = None,
        fate: Fate = nothing_fails,
        clock: VirtualClock | None = None,
    ) -> SimulatedHost:
        nature = SimulatedMachine(self.surface, NOISE, 7, clock or self.clock, samples_per_request=8)
        return SimulatedHost(name, self.setup, nature, 5.0, fate=fate, dies_at_s=dies_at_s)

    def tune(self, *hosts: SimulatedHost, **more: Any) -> Tuned:
        conveyor = SimulatedConveyor(self.clock) if len(hosts) > 1 else None
        return tune_on(Crew(list(hosts), self.clock, conveyor), self.setup, store=self.store, **more)

    def trials(self) -> tuple[TrialRecord, ...]:
        with read_store(self.store) as store:
            return store.trials("many")

    def confirmations(self) -> tuple[ConfirmationRecord, ...]:
        with read_store(self.store) as store:
            return store.confirmations("many")

    def optuna_states(self) -> Counter[TrialState]:
        with open_store(self.store) as store:
            study = optuna.load_study(study_name="many", storage=store.optuna_storage())
            return Counter(trial.state for trial in study.trials)


def world_in(folder: Path, **study: Any) -> World:
    folder.mkdir()
    return World(folder, **study)


def configurations(trials: Sequence[TrialRecord]) -> list[Configuration]:
    return [trial.configuration for trial in trials]


def four(world: World) -> tuple[SimulatedHost, ...]:
    return tuple(world.host(f"host-{number}") for number in range(4))


def test_one_host_measures_the_same_trials_for_the_same_seed(tmp_path: Path) -> None:
    one, again = (world_in(tmp_path / name, seed=3) for name in ("one", "again"))
    plans = [world.tune(world.host()).plan for world in (one, again)]
    assert one.trials() == again.trials()
    assert one.confirmations() == again.confirmations()
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].configuration == plans[1].configuration
    assert len(one.trials()) == TRIALS
    assert {trial.host for trial in one.trials()} == {"one"}


def test_one_host_is_asked_for_a_trial_only_when_it_has_told_of_the_last_one(tmp_path: Path) -> None:
    world, seen = World(tmp_path), []  # type: tuple[World, list[Event]]
    world.tune(world.host(), emit=seen.append)
    told = [type(event).__name__ for event in seen if type(event).__name__ in ("TrialBegan", "TrialEnded")]
    assert told == ["TrialBegan", "TrialEnded"] * TRIALS
    (ended,) = (event for event in seen if isinstance(event, SearchEnded))
    assert ended.reason == f"the budget of {TRIALS} trials is used up"


def test_four_hosts_measure_four_trials_at_once_and_none_twice(tmp_path: Path) -> None:
    alone, world = world_in(tmp_path / "alone"), world_in(tmp_path / "four")
    alone.tune(alone.host())
    hosts = four(world)
    tuned = world.tune(*hosts)
    trials = world.trials()
    assert len(trials) == TRIALS
    assert len(set(configurations(trials))) == TRIALS
    assert {trial.number for trial in trials} == set(range(TRIALS))
    assert {trial.host for trial in trials} == {host.name for host in hosts}
    assert tuned.plan is not None
    spans = sorted((trial.started_s, trial.ended_s) for trial in trials)
    assert spans[0][1] > spans[3][0]
    searched_s = max(end for _, end in spans) - spans[0][0]
    alone_s = max(trial.ended_s for trial in alone.trials()) - alone.trials()[0].started_s
    assert searched_s < alone_s / 2
    assert world.optuna_states() == {TrialState.COMPLETE: TRIALS}


def test_all_rounds_are_run_on_one_host(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.tune(*four(world))
    assert len({run.host for run in world.confirmations()}) == 1
    assert len(world.confirmations()) >= 9


def test_no_trial_is_lost_when_a_host_dies_in_the_middle_of_an_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    mortal, *others = world.host("mortal", dies_at_s=25.0), *four(world)[:3]
    tuned = world.tune(mortal, *others)
    lost = mortal.begun[-1]
    assert lost not in mortal.ended
    begun = Counter(order.id for host in (mortal, *others) for order in host.begun)
    assert begun[lost.id] == 2
    assert set(begun.values()) == {1, 2}
    assert [order_id for order_id, count in begun.items() if count > 1] == [lost.id]
    (taken_over,) = (order for host in others for order in host.ended if order.id == lost.id)
    assert taken_over == lost
    trials = world.trials()
    assert len(trials) == len(set(configurations(trials))) == TRIALS
    (record,) = (trial for trial in trials if trial.configuration == lost.configuration)
    assert record.host != "mortal"
    assert record.score is not None
    assert world.optuna_states() == {TrialState.COMPLETE: TRIALS}
    assert tuned.plan is not None


def test_the_order_of_a_lost_host_waits_for_one_that_is_busy(tmp_path: Path) -> None:
    world = World(tmp_path)
    mortal, other = world.host("mortal", dies_at_s=12.0), world.host("other")
    world.tune(mortal, other)
    assert [order.id for order in mortal.begun if order not in mortal.ended] == [mortal.begun[-1].id]
    assert Counter(order.id for order in other.ended)[mortal.begun[-1].id] == 1
    assert len(world.trials()) == TRIALS


def test_when_the_last_host_is_gone_what_was_measured_is_kept_and_another_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(HostLostError, match="mortal is gone") as caught:
        world.tune(world.host("mortal", dies_at_s=60.0))
    assert "every trial that ended before is kept" in caught.value.remedy
    kept = world.trials()
    assert 0 < len(kept) < TRIALS
    assert TrialState.RUNNING not in world.optuna_states()
    tuned = world.tune(world.host("another"))
    assert tuned.plan is not None
    trials = world.trials()
    assert trials[: len(kept)] == kept
    assert len(set(configurations(trials))) == len(trials) == TRIALS


def test_rounds_begin_anew_on_another_host_when_theirs_is_lost(tmp_path: Path) -> None:
    before = world_in(tmp_path / "before")
    before.tune(*four(before))
    first_run = min(before.confirmations(), key=lambda run: run.started_s)
    second_s = sorted(run.ended_s for run in before.confirmations())[4] - before.clock.unix_s()
    world = world_in(tmp_path / "world")
    hosts = list(four(world))
    name = first_run.host
    hosts = [
        replace(host, dies_at_s=before.clock.now_s + second_s) if host.name == name else host
        for host in hosts
    ]
    tuned = world.tune(*hosts)
    runs = world.confirmations()
    by_series = {number: {run.host for run in runs if run.series == number} for number in (1, 2)}
    assert by_series[1] == {name}
    assert len(by_series[2]) == 1
    assert by_series[2] != {name}
    assert tuned.plan is not None
    assert tuned.plan.confirmation.rounds == 3


def test_an_order_that_loses_two_hosts_has_failed(tmp_path: Path) -> None:
    world = World(tmp_path)
    deadly = world.setup.space.baseline

    def fate(configuration: Configuration) -> Failure | None:
        if configuration == deadly:
            raise HostLostError("it burned down")
        return None

    hosts = [replace(host, fate=fate) for host in four(world)]
    world.tune(*hosts)
    (failed,) = (trial for trial in world.trials() if trial.configuration == deadly)
    assert isinstance(failed.result, Failure)
    assert failed.result.kind == FailureKind.CRASH
    assert failed.result.reason.endswith("the last one because it burned down")
    assert sum(order.configuration == deadly for host in hosts for order in host.begun) == 2
    assert len(world.trials()) == TRIALS


def test_who_is_told_to_stop_abandons_the_trials_that_run_and_releases_them(tmp_path: Path) -> None:
    world, stop = World(tmp_path), Stop()

    def stop_after_five(event: Event) -> None:
        if isinstance(event, TrialEnded) and event.progress.finished == 5:
            stop.set()

    hosts = four(world)
    tuned = world.tune(*hosts, emit=stop_after_five, stop=stop)
    assert tuned.stopped
    assert tuned.plan is not None
    assert tuned.plan.confirmation.verdict == "unconfirmed"
    assert len(world.trials()) == 5
    abandoned = Counter({TrialState.COMPLETE: 5, TrialState.FAIL: 3})
    assert world.optuna_states() == abandoned
    again = world.tune(*four(world))
    assert again.plan is not None
    trials = world.trials()
    assert len(trials) == len(set(configurations(trials))) == TRIALS
    assert world.optuna_states() == abandoned + Counter({TrialState.COMPLETE: TRIALS - 5})


SLOW_S = 600.0
"""For which a host would be busy; nobody waits for that."""


@dataclass
class Slow:
    """A fate that takes its time from the sixth order of all hosts on.

    Attributes:
        begun: when everybody is busy.
    """

    hosts: int
    begun: threading.Event = field(default_factory=threading.Event)
    _numbers: Iterator[int] = field(default_factory=count)

    def __call__(self, configuration: Configuration) -> Failure | None:
        number = next(self._numbers)
        if number < 5:
            return None
        if number == 4 + self.hosts:
            self.begun.set()
        time.sleep(SLOW_S)
        return Failure(FailureKind.CRASH, f"nobody hears of {configuration}")


@pytest.mark.parametrize("way", ["another thread", "Ctrl-C"])
def test_nobody_waits_for_hosts_that_are_busy_when_a_study_is_told_to_stop(tmp_path: Path, way: str) -> None:
    world, stop = World(tmp_path), Stop()
    fate = Slow(hosts=3)
    hosts = [world.host(f"host-{number}", clock=VirtualClock(), fate=fate) for number in range(3)]

    def end_it() -> None:
        assert fate.begun.wait(60)
        if way == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)
        else:
            stop.set()

    ending, started_s = threading.Thread(target=end_it), time.monotonic()
    ending.start()
    with Interruption(stop, [signal.SIGINT]):
        tuned = tune_on(Crew(list(hosts)), world.setup, store=world.store, stop=stop)
    ending.join()
    assert time.monotonic() - started_s < SLOW_S / 10
    assert tuned.stopped
    assert tuned.plan is not None
    assert len(world.trials()) == 5
    assert world.optuna_states() == {TrialState.COMPLETE: 5, TrialState.FAIL: 3}
    running = [thread for thread in threading.enumerate() if thread.name.startswith("order ")]
    assert all(thread.daemon for thread in running)


def test_threads_end_with_their_orders(tmp_path: Path) -> None:
    world = World(tmp_path)
    hosts = [world.host(f"host-{number}", clock=VirtualClock()) for number in range(3)]
    before = set(threading.enumerate())
    tune_on(Crew(list(hosts)), world.setup, store=world.store)
    of_orders = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("order ")]
    for thread in of_orders:
        thread.join(5)
    assert not any(thread.is_alive() for thread in of_orders)


@dataclass
class Interrupted(SimulatedHost):
    """A host that waits for a child where it admits or releases, while somebody presses Ctrl-C so often.

    Attributes:
        admitting, releasing: how often, in each call.
    """

    admitting: int = 0
    releasing: int = 0

    def admit(self, configuration: Configuration, *, compare: bool = True, wait: bool = True) -> Admission:
        if not wait:
            _wait_for_a_child(self.admitting)
        return super().admit(configuration, compare=compare, wait=wait)

    def release(self) -> None:
        _wait_for_a_child(self.releasing)


def _wait_for_a_child(presses: int) -> None:
    """Wait for a second, with Ctrl-C pressed after each hundredth of it."""
    press = "import os, sys, time\nfor _ in range(int(sys.argv[1])):\n time.sleep(0.01)\n"
    press += " os.kill(os.getppid(), 2)\ntime.sleep(0.5)"
    subprocess.run([sys.executable, "-c", press, str(presses)], check=True)


def interrupted(world: World, *, admitting: int = 0, releasing: int = 0) -> Interrupted:
    nature = SimulatedMachine(world.surface, NOISE, 7, world.clock, samples_per_request=8)
    return Interrupted("one", world.setup, nature, admitting=admitting, releasing=releasing)


def press_after_five(event: Event) -> None:
    """Press Ctrl-C once, where nothing waits."""
    if isinstance(event, TrialEnded) and event.progress.finished == 5:
        os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_does_not_break_into_storing_the_best_so_far(tmp_path: Path) -> None:
    world, stop = World(tmp_path), Stop()
    with Interruption(stop, [signal.SIGINT]):
        tuned = world.tune(interrupted(world, admitting=2), emit=press_after_five, stop=stop)
    assert tuned.stopped
    assert tuned.plan is not None
    with read_store(world.store) as store:
        assert store.newest_plan("many") == tuned.plan


def test_who_insists_has_no_plan_and_every_trial(tmp_path: Path) -> None:
    world, stop = World(tmp_path), Stop()
    with Interruption(stop, [signal.SIGINT]):
        tuned = world.tune(interrupted(world, admitting=INSISTENCE), emit=press_after_five, stop=stop)
    assert tuned == Tuned(None, stopped=True, reason=INSISTED)
    assert len(world.trials()) == 5
    assert world.tune(world.host()).plan is not None


def test_a_ctrl_c_that_comes_when_all_is_done_takes_nothing_away(tmp_path: Path) -> None:
    world, stop = World(tmp_path), Stop()
    with Interruption(stop, [signal.SIGINT]):
        tuned = world.tune(interrupted(world, releasing=1), stop=stop)
    assert not tuned.stopped
    assert tuned.plan is not None


def test_hosts_in_threads_measure_every_trial_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    hosts = [world.host(f"host-{number}", clock=VirtualClock()) for number in range(3)]
    tuned = tune_on(Crew(list(hosts)), world.setup, store=world.store)
    trials = world.trials()
    assert len(trials) == len(set(configurations(trials))) == TRIALS
    begun = Counter(order.id for host in hosts for order in host.begun)
    assert set(begun.values()) == {1}
    assert tuned.plan is not None


def test_hosts_of_different_kinds_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    smaller = replace(world.setup, machine=build_machine(packages=1, nodes_per_package=1))
    with pytest.raises(StudyError, match="small is another kind of host than one: "):
        world.tune(world.host(), replace(world.host("small"), setup=smaller))
    with pytest.raises(StudyError, match="two hosts have one name: one, one"):
        world.tune(world.host(), world.host())
    with pytest.raises(StudyError, match="needs a host"):
        world.tune()
