from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.bench.crew import Crew
from autotune.errors import NoisyMachineError
from autotune.jobs.beginning import begin_or_resume
from autotune.preflight.setup import Setup
from autotune.store.store import StudyStore
from autotune.testing.noise import Noise, Spikes
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine
from studies.benchmarks.simulated_tune import setup_of, simulated_tune, tuned

NOISY = Noise(
    launch=0.03, block=0.05, request=0.01, drift=0.05, spikes=Spikes(share=0.1, factor=2.0, mean_s=0.5)
)


def name_of(threads: int, among: int) -> str:
    space = setup_of(among).space
    chosen = [one for one in (space.baseline, *space.configurations) if one.threads_per_instance == threads]
    return str(chosen[0])


def test_a_study_of_one_configuration_that_is_clearly_better_finds_it_and_says_by_how_much() -> None:
    outcome = simulated_tune([1.0] * 7 + [1.3, 1.0, 1.0], Noise(block=0.03), seed=1)
    assert outcome.winner == name_of(7, among=9)
    assert outcome.plan is not None
    assert outcome.plan.confirmation.verdict == "better"
    assert outcome.declares_difference
    assert not outcome.ships_worse
    assert outcome.loss == 0
    assert outcome.claims()["gain"][0].truth == pytest.approx(1.3)
    assert outcome.plan.gain_range is not None
    assert outcome.plan.gain_range.low > 1.1


def test_a_study_whose_configurations_are_all_clearly_worse_ships_the_baseline() -> None:
    outcome = simulated_tune([1.0, *[0.7] * 9], Noise(block=0.03), seed=1)
    assert outcome.winner == outcome.baseline == name_of(0, among=9)
    assert outcome.plan is not None
    assert outcome.plan.confirmation.verdict == "baseline"
    assert outcome.claims()["gain"] == []


def test_a_study_says_what_it_took_and_what_it_claims() -> None:
    outcome = simulated_tune([1.0] * 6, NOISY, seed=3)
    assert set(outcome.searched) == set(outcome.truths) == {name_of(threads, 5) for threads in range(6)}
    assert outcome.seconds > outcome.blocks
    assert [len(outcome.claims()[kind]) for kind in ("estimate", "twin")] == [1, 1]


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_the_same_seed_gives_the_same_study(seed: int) -> None:
    one, again = (simulated_tune([1.0] * 4, NOISY, seed) for _ in range(2))
    assert (one.winner, one.searched, one.seconds, one.blocks) == (
        again.winner,
        again.searched,
        again.seconds,
        again.blocks,
    )
    assert one.claims() == again.claims()


@pytest.mark.parametrize("speeds", [[], [1.0]])
def test_a_study_needs_a_baseline_and_something_beside_it(speeds: list[float]) -> None:
    with pytest.raises(ValueError, match="no study"):
        simulated_tune(speeds, Noise(), seed=1)


def test_a_study_that_gives_no_plan_for_noise_says_why() -> None:
    def too_noisy(store: StudyStore, crew: Crew, setup: Setup) -> None:
        begin_or_resume(setup, store)
        raise NoisyMachineError("too noisy", remedy="end what else runs here")

    setup = setup_of(3)
    everything = (setup.space.baseline, *setup.space.configurations)
    truths = {str(configuration): 5.0 for configuration in everything}
    machine = SimulatedMachine(lambda _: 0.2, Noise(), 1)
    stopped = tuned(SimulatedHost("simulated", setup, machine), truths, tuning=too_noisy)
    assert (stopped.plan, stopped.reason, stopped.rounds) == (None, "too noisy", 0)
    assert (stopped.claims()["gain"], stopped.ratios(), stopped.is_contradicted) == ([], [], False)
