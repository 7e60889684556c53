"""Studies as `tune` stores them, of a simulated machine: the product's own trials, rounds and conclusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from autotune.jobs.concluding import Confirmed, Searched, conclude, unconfirmed
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.measurement.conditions import hard_fact
from autotune.measurement.measurement import (
    Conditions,
    DroppedBlock,
    Failure,
    FailureKind,
    Measurement,
    TrialResult,
)
from autotune.model.calibration import CalibrationSource
from autotune.model.found import FoundStudy, Variant
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import as_stored, study_document
from autotune.placement.place import place
from autotune.placement.placement import Command, WorkerProgram
from autotune.plan.document import Plan
from autotune.plan.evidence import Unprepared
from autotune.preflight.setup import Setup
from autotune.report.dossier import Dossier, gather
from autotune.report.figures.catalogue import draw_all
from autotune.report.figures.picture import Missing, Picture
from autotune.report.page import page
from autotune.rounds.contest import Contest
from autotune.rounds.running import Entrant, Journal, Run, Scoring, run_rounds
from autotune.rounds.verdict import Contender
from autotune.search.experience import experience
from autotune.search.score import goodness, score, violations
from autotune.search.space import SearchSpace, build_space
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.store.ranking import best, measured_baseline, ranked
from autotune.store.records import ConfirmationRecord, StudyRecord, TrialRecord
from autotune.store.store import StudyStore, open_store, read_store
from autotune.testing.curves import build_curve, lognormal_services_s
from autotune.testing.machines import build_machine
from autotune.testing.noise import Noise
from autotune.testing.plans import build_assignment
from autotune.testing.simulation import SimulatedMachine

SPEED: Mapping[str, float] = {"fp32": 1.0, "int8-dynamic": 2.6}
NOISE = Noise(launch=0.01, block=0.015, request=0.05)
QUIET = Conditions(window_s=1.0, speed=0.99, steal=0.0, others_cpus=0.01, waited=0.0)
NOISY = Conditions(window_s=1.0, speed=0.71, steal=0.08, others_cpus=0.6, culprits=("stress-ng 4711",))
THROTTLED = Conditions(window_s=1.0, speed=0.97, throttled_periods=3, throttled_s=0.3)
UNPREPARED = (
    Unprepared(backend="openvino", precision="int8-static", seconds=55.0),
    Unprepared(backend="jax", precision="fp32", seconds=31.0),
)
START_S = 1_790_000_000.0
MODEL = ResolvedModel("random:distilbert-base", "random", "5e" * 32, None, "distilbert-base", 0)

Broken = Callable[[int, Configuration], TrialResult | None]
"""What a trial gives instead of its measurement, by its number; None = its measurement."""


def unbroken(number: int, configuration: Configuration) -> TrialResult | None:
    return None


@dataclass
class Studio:
    """Makes one study in one store.

    Attributes:
        disturbed_every: every so many trials, one block was lost to the CPU quota.
    """

    url: str
    machine: Machine = field(default_factory=lambda: build_machine(packages=1, nodes_per_package=1))
    spec_values: Mapping[str, Any] = field(default_factory=dict)
    broken: Broken = unbroken
    noise: Noise = NOISE
    disturbed_every: int = 5
    trials: int = 24
    baseline_seconds: float | None = None
    confirms: bool = True

    def run(self) -> Plan:
        """Measure, confirm and store; the plan is the newest of the store."""
        with open_store(self.url) as store:
            store.create_study(
                StudyRecord(
                    self.spec.name,
                    START_S,
                    study_document(self.spec),
                    machine_document(self.machine),
                    self.setup.versions,
                    MODEL.digest,
                    MODEL.source,
                )
            )
            records = [self._trial(number, one) for number, one in enumerate(self._order())]
            for record in records:
                store.record_trial(record)
            plan = self._confirmed(store, records) if self.confirms else self._unconfirmed(records)
            store.save_plan(plan)
        return plan

    def __post_init__(self) -> None:
        self.spec = StudySpec.model_validate(
            {
                "name": "encoder",
                "model": "random:distilbert-base",
                "problem": {"batch_size": 1, "sequence_length": 128},
                "measure": {"block_s": 0.5, "blocks": 3, "max_blocks": 5},
                "confirm": {"rounds": 8},
                **self.spec_values,
            }
        )
        self.space: SearchSpace = build_space(
            self.spec,
            self.machine,
            {"onnxruntime": ("fp32", "int8-dynamic"), "pytorch": ("fp32", "int8-dynamic")},
        )
        stored = as_stored(self.spec)
        self.setup = Setup(
            found=FoundStudy(self.spec, stored, {"": Variant(MODEL, stored, CalibrationSource())}),
            machine=self.machine,
            engines={"onnxruntime": ("fp32", "int8-dynamic"), "pytorch": ("fp32", "int8-dynamic")},
            space=self.space,
            versions={"autotune": "0.1.0", "python": "3.11.9", "torch": "2.13.0"},
        )
        space = self.space
        everything = (space.baseline, *space.defaults, *space.configurations)
        truths = {one: self._seconds(one) for one in everything}
        self.simulated = SimulatedMachine(truths.__getitem__, self.noise, seed=8)

    def _order(self) -> list[Configuration]:
        space = self.space.configurations
        step = max(1, len(space) // self.trials)
        return [self.space.baseline, *self.space.defaults, *space[::step]][: self.trials]

    def _seconds(self, one: Configuration) -> float:
        """Of a request: threads help less and less, instances slow each other down."""
        if one == self.space.baseline:
            return self.baseline_seconds or 0.2
        speed = SPEED[one.precision] * (1.15 if one.backend == "onnxruntime" else 1.0)
        if one.placement == "unpinned":
            return (self.baseline_seconds or 0.2) / speed
        threads = float(one.threads_per_instance**0.97)
        return 0.25 / (speed * threads) * (1 + 0.01 * (one.instances - 1))

    def _trial(self, number: int, one: Configuration) -> TrialRecord:
        began_s = START_S + self.simulated.clock.now_s
        result = self.broken(number, one) or self._measured(number, one)
        measured = result if isinstance(result, Measurement) else None
        return TrialRecord(
            study=self.spec.name,
            number=number,
            configuration=one,
            baseline=one == self.space.baseline,
            started_s=began_s,
            ended_s=START_S + self.simulated.clock.now_s,
            result=result,
            score=None if measured is None else score(self.spec, measured),
            violations={} if measured is None else violations(self.spec, measured),
        )

    def _measured(self, number: int, one: Configuration) -> Measurement:
        """A simulated trial under made-up conditions; now and then a block is disturbed, or lost."""
        measured = self.simulated.trial(one, self.spec.measure)
        seen = [NOISY if number % 7 == 3 and index == 1 else QUIET for index in range(len(measured.blocks))]
        blocks = tuple(
            replace(block, conditions=one) for block, one in zip(measured.blocks, seen, strict=True)
        )
        lost = (DroppedBlock(THROTTLED, 12.0, hard_fact(THROTTLED)),)
        is_disturbed = number % self.disturbed_every == self.disturbed_every - 1
        return replace(
            measured,
            blocks=blocks,
            dropped=lost if is_disturbed else (),
            stopped="worse" if number % 6 == 5 else "precise",
        )

    def _commands(self, one: Configuration) -> tuple[Command, ...]:
        return tuple(
            Command(WorkerProgram("/usr/bin/python", build_assignment()), {}, spot.cpus, spot.memory_nodes)
            for spot in place(one, self.machine).instances
        )

    def _unconfirmed(self, records: Sequence[TrialRecord]) -> Plan:
        winner = best(records, self.spec)
        assert winner is not None
        commands = self._commands(winner.configuration)
        return unconfirmed(self.setup, winner, measured_baseline(records), commands, records)

    def _confirmed(self, store: StudyStore, records: Sequence[TrialRecord]) -> Plan:
        entrants = self._entrants(records)
        known = experience(self.spec, [(one.configuration, one.result) for one in records])
        contest = Contest(
            [
                Contender(
                    one.name, one.role, self.machine.cores_of([c for x in one.commands for c in x.cpus])
                )
                for one in entrants
            ],
            tie=self.spec.confirm.tie,
            max_rounds=self.spec.confirm.rounds,
            seed=3,
            prior=known.prior(self.spec.measure.blocks),
        )
        runs = run_rounds(
            contest,
            entrants,
            measure=lambda entrant: self._measured(0, entrant.configuration),
            scoring=Scoring(lambda measurement: goodness(self.spec, measurement)),
            journal=Journal(lambda run: store.record_confirmation(self._kept(run))),
        )
        verdict = contest.verdict()
        assert verdict is not None
        return conclude(
            Confirmed(verdict, entrants, runs),
            setup=self.setup,
            records=records,
            known=known,
            search=Searched(looking_s=12.0, unprepared=UNPREPARED),
        )

    def _entrants(self, records: Sequence[TrialRecord]) -> list[Entrant]:
        standing = [one for one in ranked(records, self.spec) if not one.baseline]
        leading = [one for one in standing if one.configuration not in self.space.defaults]
        default = [one for one in standing if one.configuration in self.space.defaults][:1]
        baseline = measured_baseline(records)
        assert baseline is not None

        def entrant(name: str, role: Any, record: TrialRecord) -> Entrant:
            one = record.configuration
            return Entrant(name, role, one, record.number, self._commands(one))

        finalists = [entrant(f"trial {one.number}", "finalist", one) for one in leading[:4]]
        twin = [entrant("twin", "twin", one) for one in leading[:1]]
        defaults = [entrant("default", "default", one) for one in default]
        return [*finalists, *twin, *defaults, entrant("baseline", "baseline", baseline)]

    def _kept(self, run: Run) -> ConfirmationRecord:
        measured = run.result if isinstance(run.result, Measurement) else None
        at_s = START_S + self.simulated.clock.now_s
        return ConfirmationRecord(
            study=self.spec.name,
            series=1,
            round=run.round,
            position=run.position,
            contender=run.entrant.name,
            trial=run.entrant.trial,
            configuration=run.entrant.configuration,
            started_s=at_s - 5.0,
            ended_s=at_s,
            result=run.result,
            score=None if measured is None else score(self.spec, measured),
            violations={},
        )


class MakesStudies(Protocol):
    def __call__(self, **changes: Any) -> Dossier: ...


def stored(folder: Path, **changes: Any) -> Dossier:
    """Make a study of these `Studio` values in a store, and read back what a report needs of it."""
    url = f"sqlite:///{folder}/autotune.db"
    plan = Studio(url, **changes).run()
    with read_store(url) as store:
        return gather(plan, store)


@pytest.fixture
def dossier_of(tmp_path: Path) -> MakesStudies:
    """Makes a study in a store of this test's own."""
    return lambda **changes: stored(tmp_path, **changes)


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    """A confirmed study with ties, two kinds of failure, disturbed blocks, an unmet limit and a curve."""
    dossier = stored(
        tmp_path_factory.mktemp("rich"),
        machine=build_machine(packages=2, nodes_per_package=1, cores_per_node=3, allowed=range(11)),
        spec_values={"limits": {"latency": {"percentile": 90.0, "max_s": 0.24}}},
        broken=some_broken,
        trials=60,
    )
    curve = build_curve(lognormal_services_s(0.1, 0.2), dossier.plan.configuration.instances)
    return replace(dossier, plan=dossier.plan.model_copy(update={"curve": curve}))


@pytest.fixture(scope="session")
def pictures(rich: Dossier) -> tuple[Picture | Missing, ...]:
    """All figures of the rich study."""
    return draw_all(rich)


@pytest.fixture(scope="session")
def rich_page(rich: Dossier, pictures: tuple[Picture | Missing, ...]) -> str:
    """The page of the rich study."""
    return page(rich, pictures)


def some_broken(number: int, configuration: Configuration) -> TrialResult | None:
    """Trial 7 crashes and trial 11 is disturbed."""
    return {
        7: Failure(FailureKind.CRASH, "the worker was killed by SIGSEGV", stderr_tail="core dumped"),
        11: Failure(FailureKind.DISTURBED, "6 of 6 blocks cannot count: 2 cpus were taken away (6 times)"),
    }.get(number)


def failing_but_the_baseline(number: int, configuration: Configuration) -> TrialResult | None:
    """Every other configuration fails, each kind in turn."""
    if number == 0:
        return None
    kinds = tuple(FailureKind)
    return Failure(
        kinds[number % len(kinds)],
        f"the engine said <script>alert({number})</script> and a very long word: {'x' * 300}",
        stderr_tail="Traceback\n  \x1b[31m<b>boom</b>\x00 " + "y" * 400,
    )
