"""One study on a virtual host, by the product's own code in its own order: search, race, scores, rounds.

It plays this version of autotune, and the one before guard and confirmation were rewritten, so that both can
be compared on the same hosts; what differs between them is in `Before` and `After`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from typing import Any

from autotune.jobs.concluding import is_baseline_unseen
from autotune.jobs.confirming import BASELINE, TWIN
from autotune.jobs.finalists import choose_finalists
from autotune.jobs.searching import TRIAL_SHARE
from autotune.measurement.measurement import Block, Failure, Measurement, TrialResult
from autotune.measurement.statistics import block_seconds
from autotune.rounds import contest as contests
from autotune.rounds.contest import Contest
from autotune.rounds.running import Entrant, Run, Scoring, is_disturbed, run_rounds
from autotune.search.estimate import search_s
from autotune.search.score import goodness, score
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import Budget, Measure, StudySpec
from autotune.store.records import TrialRecord
from autotune.testing.hosts import VirtualHost
from autotune.testing.observations import build_observation
from autotune.trial import stopping
from autotune.trial.collect import collect
from autotune.trial.stopping import Rival, Rule
from autotune.worker.failures import InstanceError


def _throughput() -> Any:
    """The objective of every study here, as the version that is played knows it."""
    try:
        return import_module("autotune.objectives.throughput").THROUGHPUT
    except ModuleNotFoundError:
        return import_module("autotune.spec.study").Objective(kind="throughput")


THROUGHPUT = _throughput()
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


def is_before() -> bool:
    """Whether this autotune is older than the rewritten confirmation."""
    return "prior" not in Contest.__init__.__code__.co_varnames


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
    study = (Before if is_before() else After)(world, host, seed, spec)
    study.search()
    return study.confirm()


@dataclass
class Study:
    """A study under way; its subclasses know what versions differ in."""

    world: World
    host: VirtualHost
    seed: int
    spec: StudySpec
    records: list[TrialRecord] = field(default_factory=list)
    runs: Sequence[Run] = ()
    measured_s: float = 0.0
    counted_s: float = 0.0

    # What versions differ in.

    def order(self) -> list[int]:
        """In which order the configurations are tried."""
        raise NotImplementedError

    def rule(
        self, index: int, measure: Measure, rival: Rival | None, max_measuring_s: float | None, searches: bool
    ) -> Rule:
        """When a trial of the search, or a run of the confirmation, ends."""
        raise NotImplementedError

    def rival(self) -> Rival | None:
        """The best so far."""
        raise NotImplementedError

    def entrants(self) -> list[Entrant]:
        """Who confirms."""
        raise NotImplementedError

    def contender(self, entrant: Entrant) -> Any:
        """Who takes part in the contest as this entrant."""
        raise NotImplementedError

    def contest(self, contenders: Sequence[Any]) -> Contest:
        """The contest of these."""
        raise NotImplementedError

    def is_contradicted(self, contest: Contest) -> bool:
        """Whether the rounds contradict the search, so that there is no plan."""
        raise NotImplementedError

    def play(self, contest: Contest, entrants: Sequence[Entrant]) -> Sequence[Run]:
        """Run the rounds."""
        raise NotImplementedError

    def round_s(self) -> float:
        """About how long a round takes."""
        raise NotImplementedError

    def scored(self, result: Measurement, index: int) -> float:
        """The score of a trial when it ends."""
        raise NotImplementedError

    def ratios(self, verdict: Any, by_name: Mapping[str, float]) -> list[Claim]:
        """The ratios that are claimed."""
        raise NotImplementedError

    # What they have in common.

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

    def search_s(self) -> float:
        """How long the search may take."""
        scored = {one.configuration for one in self.records if one.score is not None and not one.baseline}
        return self.without(candidates=len(scored))

    def without(self, **rounds: Any) -> float:
        """The search's part of the minutes, without what is kept for a confirmation of such rounds."""
        return float(search_s(self.spec, round_s=self.round_s(), **rounds))

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
            # Commit 09f6616 fails where a finalist and the baseline have no round in common.
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


def index_of(either: Entrant | TrialRecord) -> int:
    """Of a configuration in `World.speeds`."""
    return int(either.configuration.backend.removeprefix("fake"))


def claim(interval: Any, truth: float) -> Claim:
    """An interval beside the truth."""
    return Claim(interval.estimate, interval.low, interval.high, truth)


class Before(Study):
    """As autotune was at commit 09f6616."""

    def order(self) -> list[int]:
        """The baseline first; nobody knows of defaults."""
        others = list(range(1, len(self.world.speeds)))
        random.Random(self.seed).shuffle(others)
        return [0, *others]

    def rule(
        self, index: int, measure: Measure, rival: Rival | None, max_measuring_s: float | None, searches: bool
    ) -> Rule:
        """See `Study`."""
        del index, searches
        how: dict[str, Any] = {"rival": rival, "max_measuring_s": max_measuring_s}
        how["keeps_disturbed"] = measure.disturbed == "keep"
        return Rule("offline", THROUGHPUT, measure.blocks, measure.max_blocks, **how)

    def rival(self) -> Rival | None:
        """As `_Run._rival` of `autotune.jobs.tuning`."""
        stops: Any = stopping
        measured: Any = [one.result for one in self.records if isinstance(one.result, Measurement)]
        leader: Any = max(self.records, key=lambda one: one.score or 0.0, default=None)
        if len(measured) < 2:
            return None
        return Rival(stops.scores_of(leader.result, THROUGHPUT), *stops.spread(measured, THROUGHPUT))

    def round_s(self) -> float:
        """See `Study`."""
        return float(choose_finalists(self.records, self.spec).round_s)

    def entrants(self) -> list[Entrant]:
        """As `Confirming._entrants`."""
        finalists = choose_finalists(self.records, self.spec)
        found = [_entrant(f"trial {one.number}", "finalist", one) for one in finalists.best]
        found += [_entrant(TWIN, "twin", one) for one in finalists.best[:1]]
        found += [_entrant(BASELINE, "baseline", one) for one in (finalists.baseline,) if one]
        return found

    def contender(self, entrant: Entrant) -> Any:
        """See `Study`."""
        contender: Any = vars(contests)["Contender"]
        return contender(entrant.name, entrant.role, 2, 2**20, 1)

    def is_contradicted(self, contest: Contest) -> bool:
        """See `Study`: nobody asks."""
        del contest
        return False

    def contest(self, contenders: Sequence[Any]) -> Contest:
        """See `Study`."""
        rules = self.spec.confirm
        return Contest(contenders, tie=rules.tie, max_rounds=rules.rounds, seed=self.seed)

    def play(self, contest: Contest, entrants: Sequence[Entrant]) -> Sequence[Run]:
        """As `Confirming._confirm`, within the minutes."""
        fixed = self.spec.measure.model_copy(update={"max_blocks": self.spec.measure.blocks})
        round_s = self.round_s()
        return run_rounds(
            contest,
            entrants,
            measure=lambda entrant: self.measure(index_of(entrant), fixed),
            scoring=Scoring(lambda measurement: goodness(self.spec, measurement)),
            may_go_on=lambda: self.host.clock_s + round_s <= MINUTES * 60,
        )

    def scored(self, result: Measurement, index: int) -> float:
        """See `Study`."""
        del index
        return score(self.spec, result)

    def ratios(self, verdict: Any, by_name: Mapping[str, float]) -> list[Claim]:
        """The gain over the baseline where one is claimed, and the rivals."""
        winner = by_name[verdict.winner]
        found = [claim(one.ratio, by_name[one.name] / winner) for one in verdict.rivals if one.ratio]
        return found + ([claim(verdict.gain, winner / by_name[BASELINE])] if verdict.gain else [])


@dataclass
class After(Before):
    """As autotune is: see `_Run` of `autotune.jobs.tuning`, and `Confirming`.

    Attributes:
        learned: what is known after so many trials.
    """

    learned: dict[int, Any] = field(default_factory=dict)

    def order(self) -> list[int]:
        """The baseline and the defaults first."""
        others = list(range(2, len(self.world.speeds)))
        random.Random(self.seed).shuffle(others)
        return [0, 1, *others]

    def known(self, *newest: tuple[Configuration, TrialResult]) -> Any:
        """What the study has learned of the host."""
        from autotune.search.experience import experience

        if not newest and len(self.records) in self.learned:
            return self.learned[len(self.records)]
        earlier = [(record.configuration, record.result) for record in self.records]
        return self.learned.setdefault(
            len(self.records) + len(newest), experience(self.spec, [*earlier, *newest])
        )

    def rule(
        self, index: int, measure: Measure, rival: Rival | None, max_measuring_s: float | None, searches: bool
    ) -> Rule:
        """See `Study`."""
        from autotune.measurement.correction import load_of

        how: dict[str, Any] = {"rival": rival, "max_measuring_s": max_measuring_s}
        how |= {"treatment": measure.disturbed, "load": load_of(configuration_of(index))}
        how |= {"correction": self.known().correction} if searches else {}
        return Rule("offline", THROUGHPUT, measure.blocks, measure.max_blocks, **how)

    def search_s(self) -> float:
        """See `Study`."""
        from autotune.search.estimate import needed_rounds
        from autotune.search.experience import run_blocks

        spread = self.known().run_spread(run_blocks(self.spec))
        return self.without(rounds=needed_rounds(self.spec, spread))

    def rival(self) -> Rival | None:
        """See `Study`."""
        measured = [record for record in self.records if isinstance(record.result, Measurement)]
        leader = max(measured, key=lambda record: record.score or 0.0, default=None)
        if leader is None or len(measured) < 2:
            return None
        rival: Rival = self.known().rival(leader.configuration, leader.result)
        return rival

    def scored(self, result: Measurement, index: int) -> float:
        """See `Study`."""
        configuration = configuration_of(index)
        return float(self.known((configuration, result)).score(configuration, result))

    def finalists(self) -> Any:
        """Who confirms, by the scores of the time."""
        choose: Any = choose_finalists
        return choose(self.records, self.spec, (configuration_of(1),))

    def round_s(self) -> float:
        """See `Study`."""
        return float(self.finalists().round_s)

    def entrants(self) -> list[Entrant]:
        """See `Study`."""
        from autotune.jobs.finalists import rescored

        self.records = list(rescored(self.records, self.known()))
        chosen = self.finalists()
        found = [_entrant(f"trial {record.number}", "finalist", record) for record in chosen.best]
        roles = ((TWIN, chosen.twin), (DEFAULT, chosen.default), (BASELINE, chosen.baseline))
        return [*found, *(_entrant(role, role, record) for role, record in roles if record is not None)]

    def contender(self, entrant: Entrant) -> Any:
        """See `Study`."""
        from autotune.jobs.doubting import earlier_of

        earlier = earlier_of(entrant, self.records, self.known())
        return replace(super().contender(entrant), earlier=earlier)

    def is_contradicted(self, contest: Contest) -> bool:
        """See `Study`."""
        return contest.is_contradicted

    def contest(self, contenders: Sequence[Any]) -> Contest:
        """See `Study`."""
        from autotune.search.experience import run_blocks

        rules, how = self.spec.confirm, {"prior": self.known().prior(run_blocks(self.spec))}
        return Contest(contenders, tie=rules.tie, max_rounds=rules.rounds, seed=self.seed, **how)

    def play(self, contest: Contest, entrants: Sequence[Entrant]) -> Sequence[Run]:
        """See `Study`."""
        from autotune.rounds.running import run_contest
        from autotune.search.experience import run_blocks

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


def _entrant(name: str, role: Any, record: TrialRecord) -> Entrant:
    return Entrant(name, role, record.configuration, record.number, ())


def bounded(interval: Claim) -> bool:
    """Whether an interval says anything."""
    return interval.low > 0 and math.isfinite(interval.high)
