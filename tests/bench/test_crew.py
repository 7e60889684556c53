from __future__ import annotations

import os
import threading
from pathlib import Path

from autotune.bench.crew import Crew
from autotune.bench.orders import Orders
from autotune.measurement.measurement import Failure, FailureKind
from autotune.preflight.setup import set_up
from autotune.preflight.survey import survey
from autotune.spec.configuration import Configuration
from autotune.testing.fake_model import read_fake_model
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.simulated_host import SimulatedHost
from autotune.testing.simulation import SimulatedMachine, surface_of

MEETING_S = 10.0
HOSTS = min(32, (os.cpu_count() or 1) + 4) + 1
"""More than Python has threads by default. Source: its documentation, `ThreadPoolExecutor`."""


def test_as_many_hosts_run_at_once_as_there_are_however_few_cpus_are_here(tmp_path: Path) -> None:
    study, meeting = FakeStudy(tmp_path), threading.Barrier(HOSTS, timeout=MEETING_S)
    setup = set_up(survey(study.spec, build_machine()), base=tmp_path, offline=True)
    model = setup.variants[""].model.path
    assert model is not None
    surface = surface_of(read_fake_model(model), setup.spec.problem)

    def fate(configuration: Configuration) -> Failure:
        meeting.wait()
        return Failure(FailureKind.CRASH, f"everybody ran {configuration} at once")

    hosts = [
        SimulatedHost(f"host-{number}", setup, SimulatedMachine(surface, Noise(), number), fate=fate)
        for number in range(HOSTS)
    ]
    crew, orders = Crew(list(hosts)), Orders("s")
    while (host := crew.idle()) is not None:
        crew.give(host, orders.search(setup.space.baseline))
    finished = [crew.take() for _ in range(HOSTS)]
    assert {order.host for order in finished} == {host.name for host in hosts}
    assert crew.running == {}
