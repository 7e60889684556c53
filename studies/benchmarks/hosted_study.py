"""One study on a virtual host, by the product's own code in its own order: search, race, scores, rounds.

It plays this version of autotune; `noisy_hosts.py` says who plays the one before guard and confirmation were
rewritten.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from autotune.jobs.concluding import is_baseline_unseen
from autotune.jobs.confirming import BASELINE, TWIN
from autotune.jobs.doubting import earlier_of
from autotune.jobs.finalists import choose_finalists, rescored
from autotune.jobs.searching import TRIAL_SHARE
from autotune.measurement.correction import load_of
from autotune.measurement.measurement import Block, Failure, Measurement, TrialResult
from autotune.measurement.statistics import block_seconds
from autotune.objectives.throughput import THROUGHPUT
from autotune.rounds.contest import Contest
from autotune.rounds.running import Entrant, Run, Scoring, is_disturbed, run_contest, run_rounds
from autotune.rounds.verdict import Contender
from autotune.search.estimate import needed_rounds, search_s
from autotune.search.experience import experience, run_blocks
from autotune.search.score import goodness
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Measure, StudySpec
from autotune.store.records import TrialRecord
from autotune.testing.hosts import VirtualHost
from autotune.testing.observations import build_observation
from autotune.trial.collect import collect
from autotune.trial.stopping import Rival, Rule
from autotune.worker.failures import InstanceError

DEFAULT = "default"
MINUTES = 5.0
"""The default minutes that issue and quickstart speak of."""

REQUEST_S = 0.2
"""Seconds of the baseline's request."""

PREPARATION_S = 3.0
"""What a candidate's artifact takes, the first time: so little that all ten configurations fit into the
search's part of five minutes on a host as noisy as the recorded ones, as is asked of a search elsewhere."""

OBSERVATION = build_observation(engine_threads=2)


@dataclass(frozen=True)
class World:
    """What is true: samples per second without noise, where the baseline's is 1.

    Attributes:
        default: of the best default.
        candidates: of the others.
    """

    default: float
    candidates: tuple[float, ...]

    @property
    def speeds(self) -> tuple[float, ...]:
        """The baseline, the default, the candidates."""
        return (1.0, self.default, *self.candidates)


@dataclass(frozen=True)
class Claim:
    """An interval that the product states, and what it should hold."""

    estimate: float
    low: float
    high: float
    truth: float

    @property
    def holds(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.low <= self.truth <= self.high


@dataclass(frozen=True)
class Ended:
    """How a study ended.

    Attributes:
        world: what is true.
        winner: index of the plan in `World.speeds`; None where the study gave no plan for noise.
        finalists: indices of those that were in the rounds beside baseline and default.
        value: the plan's own, over `World.speeds`; usual: the same beside the host's mean speed meanwhile.
        ratios: of the winner to baseline and default, of rivals to the winner.
        measured_s: length of all blocks; counted_s: of those that were counted.
        tried: indices of those to which the search gave a score; rounds: of the contest; seconds: that all of
            it took.
        has_crashed: it ended with an error that is nobody's to handle.
        is_contradicted: it gave no plan, because its rounds contradicted its search.
    """

    world: World
    winner: int | None
    finalists: tuple[int, ...]
    value: Claim | None
    usual: Claim | None
    ratios: tuple[Claim, ...]
    measured_s: float
    counted_s: float
    tried: frozenset[int]
    rounds: int
    seconds: float
    has_crashed: bool = False
    is_contradicted: bool = False

    @property
    def truth(self) -> float:
        """The plan's speed; a study without a plan leaves the baseline in place."""
        return self.world.speeds[self.winner or 0]


def configuration_of(index: int) -> Configuration:
    """Baseline, default, candidates: one instance on both cpus each, told apart by their engines' names."""
    return Configuration(1, 2, "close" if index else "unpinned", "0", False, f"fake{index}", "fp32")


def spec_of(disturbed: str | None = None) -> StudySpec:
    """The product's own defaults, with five minutes.

    Args:
        disturbed: value of `measure.disturbed`; None = the default.
    """
    return StudySpec(
        name="hosted",
        model="fake:hosted.json",
        problem=Problem(batch_size=1, sequence_length=1),
        scenario="offline",
        measure=Measure() if disturbed is None else Measure.model_validate({"disturbed": disturbed}),
        budget=Budget(minutes=MINUTES),
    )


def hosted_study(world: World, host: VirtualHost, seed: int, spec: StudySpec) -> Ended:
    """Search, confirm and conclude, as `tune` does."""
    study = HostedStudy(world, host, seed, spec)
    study.search()
    return study.confirm()


@dataclass
class HostedStudy:
    """A study under way: see `Searching` of `autotune.jobs.searching`, and `Confirming`.

    Attributes:
        learned: what is known after so many trials.
    """

    world: World
    host: VirtualHost
    seed: int
    spec: StudySpec
    records: list[TrialRecord] = field(default_factory=list)
    runs: Sequence[Run] = ()
    measured_s: float = 0.0
    counted_s: float = 0.0
    learned: dict[int, Any] = field(default_factory=dict)

    def search(self) -> None:
        """Try every configuration while the search's minutes last; disturbed ones once more at the end."""
        queue = self.order()
        again: list[int] = []
        while (queue or again) and not (self.records and self.host.clock_s >= self.search_s()):
            is_new = bool(queue)
            index = queue.pop(0) if queue else again.pop(0)
            if is_new and index:
                self.host.clock_s += PREPARATION_S
            started_s = self.host.clock_s
            result = self.measure(index, self.spec.measure, searches=True)
            if is_disturbed(result) and is_new:
                again.append(index)
            self.records.append(self.record(index, started_s, result))
        # What else there is to try fills the search's minutes, and is no better.
        self.host.clock_s = max(self.host.clock_s, self.search_s())

    def record(self, index: int, started_s: float, result: TrialResult) -> TrialRecord:
        """A trial as the store keeps it."""
        known: dict[str, Any] = {
            "study": self.spec.name,
            "number": len(self.records),
            "configuration": configuration_of(index),
            "baseline": index == 0,
            "started_s": started_s,
            "ended_s": self.host.clock_s,
            "result": result,
            "score": self.scored(result, index) if isinstance(result, Measurement) else None,
        }
        names = {one.name for one in fields(TrialRecord)}
        return TrialRecord(**{name: value for name, value in known.items() if name in names})

    def measure(self, index: int, measure: Measure, *, searches: bool = False) -> TrialResult:
        """Launch and measure one configuration on the host, in a race where it is of the search."""
        host, began_s = self.host, self.host.clock_s
        rival, most_s = (self.rival(), MINUTES * 60 * TRIAL_SHARE) if searches else (None, None)
        rule = self.rule(index, measure, rival, most_s, searches)
        request_s = REQUEST_S / self.world.speeds[index] * host.launch()
        is_pinned = configuration_of(index).placement != "unpinned"

        def block() -> Block:
            measured = host.block(request_s, measure.block_s, is_pinned=is_pinned)
            self.measured_s += block_seconds(measured)
            return measured

        try:
            collected = collect(
                block,
                rule,
                deadline_s=began_s + measure.trial_timeout_s,
                clock=lambda: host.clock_s,
            )
        except InstanceError as error:
            return Failure(error.kind, error.reason)
        self.counted_s += sum(map(block_seconds, collected.blocks))
        return Measurement(
            scenario="offline",
            blocks=collected.blocks,
            observations=(OBSERVATION,),
            memory_binding="none",
            wall_s=host.clock_s - began_s,
            measuring_s=collected.measuring_s,
            warmup_s=0.0,
            dropped=collected.dropped,
            stopped=collected.stopped,
        )

    def is_blind(self) -> bool:
        """Whether disturbances kept `tune` from going on: as `_refuse_no_winner` decides."""
        measured = {one.configuration for one in self.records if one.score is not None}
        disturbed = {one.configuration for one in self.records if is_disturbed(one.result)} - measured
        return not measured or bool(
            disturbed and (configuration_of(0) in disturbed or len(disturbed) > len(measured))
        )

    def confirm(self) -> Ended:
        """Run the finalists in rounds, and conclude."""
        if self.is_blind():
            return self.ended(None, (), [], 0)
        self.host.is_confirming = True
        entrants = self.entrants()
        contest = self.contest([self.contender(entrant) for entrant in entrants])
        self.runs = self.play(contest, entrants)
        finalists = tuple(index_of(one) for one in entrants if one.role == "finalist")
        if is_baseline_unseen(self.runs):
            return self.ended(None, finalists, [], contest.rounds)
        if self.is_contradicted(contest):
            return replace(self.ended(None, finalists, [], contest.rounds), is_contradicted=True)
        try:
            verdict: Any = contest.verdict()
        except ValueError:
            # One study that fails is counted, so that the others are not lost.
            return replace(self.ended(None, finalists, [], contest.rounds), has_crashed=True)
        if verdict is None:
            return self.ended(None, finalists, [], contest.rounds)
        speeds = {one.name: self.world.speeds[index_of(one)] for one in entrants}
        winner = next(one for one in entrants if one.name == verdict.winner)
        ratios = self.ratios(verdict, speeds)
        return self.ended(winner, finalists, ratios, contest.rounds, verdict.estimate)

    def ended(
        self,
        winner: Entrant | None,
        finalists: tuple[int, ...],
        ratios: Sequence[Claim],
        rounds: int,
        estimate: Any = None,
    ) -> Ended:
        """Sum it up."""
        index = None if winner is None else index_of(winner)
        value = usual = None
        if index is not None and estimate is not None:
            truth = self.world.speeds[index] / REQUEST_S
            value = claim(estimate, truth)
            usual = claim(estimate, truth * self.host.mean_speed)
        return Ended(
            world=self.world,
            winner=index,
            finalists=finalists,
            value=value,
            usual=usual,
            ratios=tuple(ratios),
            measured_s=self.measured_s,
            counted_s=self.counted_s,
            tried=frozenset(index_of(record) for record in self.records if record.score is not None),
            rounds=rounds,
            seconds=self.host.clock_s,
        )

    def order(self) -> list[int]:
        """The baseline and the defaults first."""
        others = list(range(2, len(self.world.speeds)))
        random.Random(self.seed).shuffle(others)
        return [0, 1, *others]

    def known(self, *newest: tuple[Configuration, TrialResult]) -> Any:
        """What the study has learned of the host."""
        if not newest and len(self.records) in self.learned:
            return self.learned[len(self.records)]
        earlier = [(record.configuration, record.result) for record in self.records]
        return self.learned.setdefault(
            len(self.records) + len(newest), experience(self.spec, [*earlier, *newest])
        )

    def rule(
        self, index: int, measure: Measure, rival: Rival | None, max_measuring_s: float | None, searches: bool
    ) -> Rule:
        """Say when a trial of the search, or a run of the confirmation, ends."""
        how: dict[str, Any] = {"rival": rival, "max_measuring_s": max_measuring_s}
        how |= {"treatment": measure.disturbed, "load": load_of(configuration_of(index))}
        how |= {"correction": self.known().correction} if searches else {}
        return Rule("offline", THROUGHPUT, measure.blocks, measure.max_blocks, **how)

    def search_s(self) -> float:
        """Say how long the search may take: its minutes, without what is kept for the confirmation."""
        spread = self.known().run_spread(run_blocks(self.spec))
        rounds = needed_rounds(self.spec, spread)
        return search_s(self.spec, round_s=self.round_s(), rounds=rounds)

    def rival(self) -> Rival | None:
        """Give the best so far."""
        measured = [record for record in self.records if isinstance(record.result, Measurement)]
        leader = max(measured, key=lambda record: record.score or 0.0, default=None)
        if leader is None or len(measured) < 2:
            return None
        rival: Rival = self.known().rival(leader.configuration, leader.result)
        return rival

    def scored(self, result: Measurement, index: int) -> float:
        """Score a trial when it ends."""
        configuration = configuration_of(index)
        return float(self.known((configuration, result)).score(configuration, result))

    def finalists(self) -> Any:
        """Who confirms, by the scores of the time."""
        choose: Any = choose_finalists
        return choose(self.records, self.spec, (configuration_of(1),))

    def round_s(self) -> float:
        """Estimate how long a round takes."""
        return float(self.finalists().round_s)

    def entrants(self) -> list[Entrant]:
        """Say who confirms."""
        self.records = list(rescored(self.records, self.known()))
        chosen = self.finalists()
        found = [_entrant(f"trial {record.number}", "finalist", record) for record in chosen.best]
        roles = ((TWIN, chosen.twin), (DEFAULT, chosen.default), (BASELINE, chosen.baseline))
        return [*found, *(_entrant(role, role, record) for role, record in roles if record is not None)]

    def contender(self, entrant: Entrant) -> Any:
        """Say who takes part in the contest as this entrant."""
        earlier = earlier_of(entrant, self.records, self.known())
        return Contender(entrant.name, entrant.role, 2, 2**20, 1, earlier=earlier)

    def is_contradicted(self, contest: Contest) -> bool:
        """Say whether the rounds contradict the search, so that there is no plan."""
        return contest.is_contradicted

    def contest(self, contenders: Sequence[Any]) -> Contest:
        """Give the contest of these."""
        rules, how = self.spec.confirm, {"prior": self.known().prior(run_blocks(self.spec))}
        return Contest(contenders, tie=rules.tie, max_rounds=rules.rounds, seed=self.seed, **how)

    def play(self, contest: Contest, entrants: Sequence[Entrant]) -> Sequence[Run]:
        """Run the rounds."""
        known, round_s = self.known(), self.round_s()
        fixed = self.spec.measure.model_copy(
            update=dict.fromkeys(("blocks", "max_blocks"), run_blocks(self.spec))
        )

        def covariates(run: Run) -> tuple[float, ...]:
            if not isinstance(run.result, Measurement):
                return ()
            return tuple(known.deviations(run.entrant.configuration, run.result))

        def play(may_go_on: Callable[[], bool]) -> tuple[Run, ...]:
            return run_rounds(
                contest,
                entrants,
                measure=lambda entrant: self.measure(index_of(entrant), fixed),
                scoring=Scoring(lambda measurement: goodness(self.spec, measurement), covariates),
                may_go_on=may_go_on,
            )

        return run_contest(contest, play, may_go_on=lambda: self.host.clock_s + round_s <= MINUTES * 60)

    def ratios(self, verdict: Any, by_name: Mapping[str, float]) -> list[Claim]:
        """The winner beside baseline and default, and the rivals beside the winner."""
        winner = by_name[verdict.winner]
        found = [claim(rival.ratio, by_name[rival.name] / winner) for rival in verdict.rivals if rival.ratio]
        beside = [one for one in (verdict.baseline, verdict.default) if one is not None]
        return found + [claim(one.ratio, winner / by_name[one.name]) for one in beside]


def index_of(either: Entrant | TrialRecord) -> int:
    """Of a configuration in `World.speeds`."""
    return int(either.configuration.backend.removeprefix("fake"))


def claim(interval: Any, truth: float) -> Claim:
    """An interval beside the truth."""
    return Claim(interval.estimate, interval.low, interval.high, truth)


def _entrant(name: str, role: Any, record: TrialRecord) -> Entrant:
    return Entrant(name, role, record.configuration, record.number, ())


def bounded(interval: Claim) -> bool:
    """Whether an interval says anything."""
    return interval.low > 0 and math.isfinite(interval.high)
