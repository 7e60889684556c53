"""The tests that every host passes: subclass `HostContract` in a test module.

```python
class TestSimulatedHost(HostContract):
    @pytest.fixture
    def host(self) -> Host:
        return SimulatedHost(...)
```
"""

# The names of tests are sentences.
# ruff: noqa: D102

from __future__ import annotations

import json

import pytest

from autotune.bench.host import Host
from autotune.bench.order import Order
from autotune.bench.orders import Orders
from autotune.measurement.measurement import Failure, FailureKind, Measurement
from autotune.placement.placement import Command
from autotune.preflight.setup import Setup
from autotune.search.experience import experience, run_blocks
from autotune.spec.configuration import Configuration


class HostContract:
    """What `Host` promises, as tests; the study must be one whose trials take a moment."""

    @pytest.fixture
    def setup(self) -> Setup:
        """Give the study that the host is set up for."""
        raise NotImplementedError

    @pytest.fixture
    def host(self, setup: Setup) -> Host:
        """Give a host that has run nothing."""
        raise NotImplementedError

    @pytest.fixture
    def orders(self, setup: Setup) -> Orders:
        return Orders(setup.spec.name)

    @pytest.fixture
    def configuration(self, setup: Setup) -> Configuration:
        return setup.space.configurations[0]

    def test_it_has_a_name_and_the_machine_and_versions_of_its_study(self, host: Host, setup: Setup) -> None:
        facts = host.describe()
        assert facts.name
        assert facts.machine == setup.machine
        assert dict(facts.versions) == setup.versions
        assert facts.waited_s >= 0
        assert host.describe().name == facts.name

    def test_what_it_admits_is_started_by_a_command_for_each_instance(
        self, host: Host, setup: Setup, configuration: Configuration
    ) -> None:
        for chosen in (setup.space.baseline, configuration):
            admission = host.admit(chosen)
            assert len(admission.commands) == chosen.instances
            assert all(isinstance(command, Command) for command in admission.commands)
            assert admission.why_unfit == ""
            assert admission.quality is not None

    def test_answers_are_not_compared_where_nobody_asks(
        self, host: Host, configuration: Configuration
    ) -> None:
        admission = host.admit(configuration, compare=False)
        assert (admission.quality, admission.refusal) == (None, "")
        assert admission.commands == host.admit(configuration).commands

    def test_a_trial_of_the_search_has_as_many_blocks_as_the_study_asks_for(
        self, host: Host, setup: Setup, orders: Orders, configuration: Configuration
    ) -> None:
        result = host.run(orders.search(configuration))
        assert isinstance(result, Measurement), result
        measure = setup.spec.measure
        assert measure.blocks <= len(result.blocks) <= max(measure.blocks, measure.max_blocks)
        assert len(result.observations) == configuration.instances
        assert result.cores is not None
        assert result.scenario == setup.spec.scenario

    def test_a_run_of_a_round_has_as_many_blocks_as_every_other(
        self, host: Host, setup: Setup, configuration: Configuration
    ) -> None:
        order = Order("s-1", setup.spec.name, configuration, "confirm", 1)
        result = host.run(order)
        assert isinstance(result, Measurement), result
        assert len(result.blocks) == run_blocks(setup.spec)

    def test_commands_that_an_order_brings_are_started(
        self, host: Host, setup: Setup, configuration: Configuration
    ) -> None:
        commands = host.admit(configuration).commands
        order = Order("s-1", setup.spec.name, configuration, "confirm", 1, commands=commands)
        assert isinstance(host.run(order), Measurement)

    def test_a_trial_that_is_clearly_worse_than_its_rival_ends_early(
        self, host: Host, setup: Setup, orders: Orders, configuration: Configuration
    ) -> None:
        measured = host.run(orders.search(configuration))
        assert isinstance(measured, Measurement)
        known = experience(setup.spec, [(configuration, measured)])
        rival = known.rival(configuration, measured)
        far_ahead = type(rival)(tuple(100 * value for value in rival.goodness), 0.01, 100)
        beaten = host.run(orders.search(configuration, rival=far_ahead))
        assert isinstance(beaten, Measurement)
        assert (beaten.stopped, len(beaten.blocks)) == ("worse", 1)

    def test_an_order_that_has_travelled_is_the_same_order(
        self, host: Host, orders: Orders, configuration: Configuration
    ) -> None:
        order = orders.search(configuration, max_measuring_s=60.0, preparation_s=1.5)
        travelled = Order.from_json(json.loads(json.dumps(order.to_json())))
        assert travelled == order
        assert isinstance(host.run(travelled), Measurement)

    def test_what_it_has_run_is_ready(self, host: Host, orders: Orders, configuration: Configuration) -> None:
        assert configuration.prepared not in host.describe().ready
        host.run(orders.search(configuration))
        assert configuration.prepared in host.describe().ready

    def test_a_host_that_was_released_goes_on(
        self, host: Host, orders: Orders, configuration: Configuration
    ) -> None:
        host.rehearse()
        host.release()
        assert isinstance(host.run(orders.search(configuration)), Measurement)
        host.release()

    def test_what_cannot_run_there_is_a_failure_with_a_reason(
        self, host: Host, orders: Orders, unsupported: Configuration
    ) -> None:
        result = host.run(orders.search(unsupported))
        assert isinstance(result, Failure)
        assert result.kind == FailureKind.UNSUPPORTED
        assert result.reason

    @pytest.fixture
    def unsupported(self, setup: Setup) -> Configuration:
        """Give a configuration that the engine cannot run with this model."""
        raise NotImplementedError
