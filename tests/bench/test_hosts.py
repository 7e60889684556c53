"""Every host keeps the same contract: this machine with the fake engine, and simulated ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autotune.bench.here import machine_here
from autotune.bench.host import Host
from autotune.bench.local import LocalHost
from autotune.bench.orders import Orders
from autotune.errors import HostLostError
from autotune.measurement.measurement import Failure, FailureKind
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.testing.fake_model import read_fake_model
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.host_contract import HostContract
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine, surface_of

SEARCH = {"instances": [1], "threads": [1], "placements": ["close"], "precisions": ["int8-dynamic"]}


class TestLocalHost(HostContract):
    @pytest.fixture
    def setup(self, tmp_path: Path, own_cache: Path) -> Setup:  # noqa: ARG002 - its children use it
        study = FakeStudy(tmp_path, search=SEARCH)
        return set_up(survey(study.spec, machine_here()), base=tmp_path, offline=True)

    @pytest.fixture
    def host(self, setup: Setup) -> Host:
        return LocalHost(setup)

    @pytest.fixture
    def unsupported(self, setup: Setup) -> Configuration:
        return replace(setup.space.configurations[0], precision="bf16")


class TestSimulatedHost(HostContract):
    @pytest.fixture
    def setup(self, tmp_path: Path) -> Setup:
        study = FakeStudy(tmp_path, search={**SEARCH, "threads": [24], "instances": [2]})
        machine = build_machine(packages=2, nodes_per_package=1, cores_per_node=24)
        return set_up(survey(study.spec, machine), base=tmp_path, offline=True)

    @pytest.fixture
    def host(self, setup: Setup) -> Host:
        model = setup.variants[""].model.path
        assert model is not None
        surface = surface_of(read_fake_model(model), setup.spec.problem)
        return SimulatedHost(
            "simulated", setup, SimulatedMachine(surface, Noise(block=0.01), 1), fate=refused
        )

    @pytest.fixture
    def unsupported(self, setup: Setup) -> Configuration:
        return replace(setup.space.configurations[0], precision="bf16")

    def test_it_is_lost_with_the_order_that_it_runs_when_it_dies(
        self, host: SimulatedHost, setup: Setup
    ) -> None:
        mortal, orders = replace(host, begun=[], ended=[]), Orders("s")
        order = orders.search(setup.space.configurations[0])
        mortal.run(order)
        mortal.dies_at_s = mortal.nature.clock.now_s + 1.0
        with pytest.raises(HostLostError, match="simulated is gone, with the order s-2"):
            mortal.run(orders.search(setup.space.baseline))
        assert (len(mortal.begun), mortal.ended) == (2, [order])

    def test_it_refuses_a_scenario_that_it_cannot_play(self, host: SimulatedHost, setup: Setup) -> None:
        spec: StudySpec = setup.spec.model_copy(update={"scenario": "single_stream"})
        other = replace(setup, found=replace(setup.found, spec=spec))
        with pytest.raises(ValueError, match="single_stream"):
            replace(host, setup=other)


def refused(configuration: Configuration) -> Failure | None:
    if configuration.precision == "bf16":
        return Failure(FailureKind.UNSUPPORTED, "the fake model has no bf16")
    return None
