"""Whole studies on a simulated machine, and what they claim beside what is true.

What decides is the product's own, in its own order: trials that race, scores, finalists, the contest.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from autotune.measurement.measurement import Measurement
from autotune.rounds.contest import MARGIN, Contest
from autotune.rounds.running import Entrant, Scoring, run_rounds
from autotune.rounds.verdict import Contender, Verdict
from autotune.search.experience import Experience, corrected_goodness, experience, run_blocks
from autotune.search.score import goodness
from autotune.spec.aim import Aim
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import StudySpec
from autotune.statistics.paired import Interval
from autotune.testing.noise import Noise
from autotune.testing.simulation import SimulatedMachine
from autotune.trial.stopping import Rival

SPEC = StudySpec(
    name="simulated",
    model="fake:simulated.json",
    problem=Problem(batch_size=1, sequence_length=1),
    objective=Aim(kind="throughput"),
    scenario="offline",
)
"""What simulated studies are after, with the product's own defaults."""

TWIN = "twin"
"""Name of the leader's second run in the contest; the others' are their configurations' texts."""


@dataclass(frozen=True)
class Claim:
    """An interval that the product states, and what it should hold."""

    interval: Interval
    truth: float

    @property
    def holds(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.interval.low <= self.truth <= self.interval.high


@dataclass(frozen=True)
class SimulatedOutcome:
    """How a simulated study ended.

    Attributes:
        verdict: of the contest; its names are the configurations' texts.
        truths: samples per second without noise, by configuration; what the machine does in its quiet time.
        searched: the scores of the search.
        baseline: the one that is not searched for.
        seconds: what search and confirmation took on the machine's clock.
        blocks: how many were measured.
    """

    verdict: Verdict
    truths: Mapping[str, float]
    searched: Mapping[str, float]
    baseline: str
    seconds: float
    blocks: int

    @property
    def declares_difference(self) -> bool:
        """Whether it says that any of its configurations is better or worse than another."""
        beaten = any(rival.standing == "worse" for rival in self.verdict.rivals)
        return beaten or self.verdict.beats_baseline is True

    @property
    def ships_worse(self) -> bool:
        """Whether the plan is slower than the baseline in truth, by more than the contest's margin."""
        return self.truths[self.verdict.winner] < (1 - MARGIN) * self.truths[self.baseline]

    @property
    def optimism(self) -> float:
        """By which share the plan's own value, which is the verdict's estimate, is above the truth."""
        return self.verdict.estimate.estimate / self.truths[self.verdict.winner] - 1

    @property
    def loss(self) -> float:
        """By which share the plan is slower in truth than the best there is."""
        return 1 - self.truths[self.verdict.winner] / max(self.truths.values())

    @property
    def search_optimism(self) -> float:
        """By which share the best score of the search is above the truth."""
        best = max(self.searched, key=self.searched.__getitem__)
        return self.searched[best] / self.truths[best] - 1

    def claims(self) -> dict[str, list[Claim]]:
        """Every interval: `gain` over the baseline, `estimate`, `rivals` by winner, `twin` by leader."""
        verdict, winner = self.verdict, self.truths[self.verdict.winner]
        gain, twin = verdict.gain, verdict.twin
        return {
            "gain": [Claim(gain, winner / self.truths[self.baseline])] if gain else [],
            "estimate": [Claim(verdict.estimate, winner)],
            "rivals": [
                Claim(rival.ratio, self.truths[rival.name] / winner)
                for rival in verdict.rivals
                if rival.ratio
            ],
            "twin": [Claim(twin, 1.0)] if twin else [],
        }


def simulated_study(
    truths: Mapping[Configuration, float], noise: Noise, seed: int, spec: StudySpec = SPEC
) -> SimulatedOutcome:
    """Measure every configuration in a race, and let the best confirm, as `tune` does.

    Args:
        truths: seconds of one request by configuration; the baseline is the one that is `unpinned`.
        spec: its `measure` and `confirm` say how it is done.

    Raises:
        ValueError: there is no baseline, or nothing beside it.
    """
    order = _trial_order(list(truths), seed)
    study = _Study(SimulatedMachine(truths.__getitem__, noise, seed), spec, baseline=order[0])
    for configuration in order:
        study.search(configuration)
    verdict = study.confirm(seed)
    return SimulatedOutcome(
        verdict=verdict,
        truths={str(one): one.instances / seconds for one, seconds in truths.items()},
        searched={str(one): study.score(one) for one in study.searched},
        baseline=str(order[0]),
        seconds=study.machine.clock.now_s,
        blocks=study.machine.blocks,
    )


def _trial_order(configurations: list[Configuration], seed: int) -> list[Configuration]:
    """The baseline first, the others in random order."""
    baselines = [one for one in configurations if one.placement == "unpinned"]
    others = [one for one in configurations if one.placement != "unpinned"]
    if len(baselines) != 1 or not others:
        raise ValueError(f"{len(baselines)} baselines and {len(others)} others are no study")
    random.Random(seed).shuffle(others)
    return [*baselines, *others]


@dataclass
class _Study:
    """A study under way."""

    machine: SimulatedMachine
    spec: StudySpec
    baseline: Configuration
    searched: dict[Configuration, Measurement] = field(default_factory=dict)

    def search(self, configuration: Configuration) -> None:
        known = self.known()
        measurement = self.machine.trial(
            configuration, self.spec.measure, self._rival(known), known.correction
        )
        self.searched[configuration] = measurement

    def score(self, configuration: Configuration) -> float:
        return self.known().score(configuration, self.searched[configuration])

    def known(self) -> Experience:
        """What the search has learned of its host."""
        return experience(self.spec, self.searched.items())

    def confirm(self, seed: int) -> Verdict:
        """Run the finalists, the leader's twin and the baseline in rounds until it is decided."""
        entrants, rules, known = self._entrants(), self.spec.confirm, self.known()
        contest = Contest(
            [Contender(one.name, one.role, cores=one.configuration.threads_per_instance) for one in entrants],
            tie=rules.tie,
            max_rounds=rules.rounds,
            seed=seed,
            prior=known.prior(run_blocks(self.spec)),
        )
        fixed = self.spec.measure.model_copy(
            update=dict.fromkeys(("blocks", "max_blocks"), run_blocks(self.spec))
        )
        run_rounds(
            contest,
            entrants,
            measure=lambda entrant: self.machine.trial(entrant.configuration, fixed),
            scoring=Scoring(lambda measurement: goodness(self.spec, measurement)),
        )
        verdict = contest.verdict()
        if verdict is None:
            raise ValueError("the contest ended without any measurement")
        return verdict

    def _rival(self, known: Experience) -> Rival | None:
        """The best so far, as soon as there are two."""
        if len(self.searched) < 2:
            return None
        best = max(self.searched, key=lambda one: corrected_goodness(known, one, self.searched[one]))
        return known.rival(best, self.searched[best])

    def _entrants(self) -> list[Entrant]:
        """The best of the search, the leader again, and the baseline."""
        others = [one for one in self.searched if one != self.baseline]
        finalists = sorted(others, key=self.score, reverse=True)[: self.spec.confirm.finalists]
        return [
            *(Entrant(str(one), "finalist", one, number, ()) for number, one in enumerate(finalists)),
            Entrant(TWIN, "twin", finalists[0], 0, ()),
            Entrant(str(self.baseline), "baseline", self.baseline, 0, ()),
        ]
