"""The second stage of a search: the knobs of the leading placements, one at a time and then together.

Knobs are not multiplied into the space: they add some per cent where placement, engine and precision add
factors, and every one of them would multiply the trials. So the first stage leaves them as they usually are,
and what is left of the budget, a `SHARE` of it at least, goes to a greedy coordinate descent from each of up
to `LEADERS` leading configurations, the best first:

1. one knob is turned at a time, to every value that can be had and can matter;
2. of the values that made it better by more than the indifference zone, the best is kept, and those of other
   knobs are added to it one by one, in the order of their gain, as long as that helps further;
3. knobs that only the kept ones make possible (`Knob.needs`) are turned on top of them.

Everything depends on the trials alone, so that a study that is resumed goes on as it would have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from autotune.search.knobs import KnobSpace
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import NO_KNOBS, Knobs, format_knobs, legal_fault
from autotune.spec.known_knobs import known_knobs
from autotune.spec.scenario import traits_of
from autotune.spec.study import Budget, StudySpec

LEADERS: Final = 3
"""Configurations whose knobs are turned; of different engines, as far as there are several near the best."""

REACH: Final = 1.5
"""A configuration that the first stage found worse than the best by more than this factor is no leader: knobs
add some per cent, and would have to add half as much again."""

SHARE: Final = 0.25
"""Of the budget's trials, and of the search's part of its minutes, that is kept for the second stage."""

LEAST_TRIALS, LEAST_MINUTES = 30, 15.0
"""Smallest budget that `auto` takes anything from: a quarter of less would turn too few knobs to be worth the
placements that are not tried for it."""

Known = Mapping[Configuration, float | None]
"""Goodness of what was tried, in order; None of what failed or misses a limit."""


@dataclass(frozen=True)
class SecondStage:
    """What is turned, from where, and when.

    Attributes:
        space: the knobs.
        tie: the indifference zone as a share: what helps less is left as it usually is.
        batch: sequences in a request; parts: whether it is split over the instances.
        first_trials: of the first stage, at most; None = no bound.
    """

    space: KnobSpace
    tie: float
    batch: int
    parts: bool = False
    first_trials: int | None = None

    def moves(self, known: Known, may_propose: Callable[[Configuration], bool]) -> tuple[Configuration, ...]:
        """What may be tried next; empty when nothing is left to turn."""

        def is_open(one: Configuration) -> bool:
            return one not in known and may_propose(one)

        for leader in leaders(known):
            if found := self._next(leader, known, is_open):
                return found
        return ()

    def most_moves(self) -> int:
        """About how many trials it takes at most: every value alone, and every knob added once."""
        widest = max((_count(choices) for choices in self.space.choices.values()), default=0)
        return LEADERS * widest

    def most_preparations(self) -> int:
        """How many artifacts it takes at most: one for every value that is turned in preparation."""
        turned = [
            sum(len(values) - 1 for name, values in choices.items() if known_knobs()[name].prepares)
            for choices in self.space.choices.values()
        ]
        return LEADERS * max(turned, default=0)

    def _next(
        self, leader: Configuration, known: Known, is_open: Callable[[Configuration], bool]
    ) -> tuple[Configuration, ...]:
        """What is to be tried of one leader next: any of these, before it can be said what comes after."""
        singles = {_with(leader, knobs): knobs for knobs in self.space.turns(leader, self._least(leader))}
        if alone := tuple(filter(is_open, singles)):
            return alone
        state, reached = NO_KNOBS, (known[leader] or 0.0) * (1 + self.tie)
        for knobs in _helpful(singles, known, reached):
            together = {**state, **knobs}
            if legal_fault(together):
                continue
            one = _with(leader, together)
            if is_open(one):
                return (one,)
            if (gained := known.get(one) or 0.0) > reached:
                state, reached = together, gained
        return tuple(filter(is_open, self._made_possible(leader, state)))

    def _made_possible(self, leader: Configuration, state: Knobs) -> Iterator[Configuration]:
        """Turns of knobs on top of others, that alone could not be turned."""
        least = self._least(leader)
        alone = {name for knobs in self.space.turns(leader, least) for name in knobs}
        for knobs in self.space.turns(leader, least, state):
            if knobs.keys() - state.keys() - alone:
                yield _with(leader, knobs)

    def _least(self, leader: Configuration) -> int:
        """Sequences in the smallest request of an instance."""
        return self.batch // leader.instances if self.parts else self.batch


def second_stage(spec: StudySpec, space: KnobSpace) -> SecondStage | None:
    """The second stage of a study; None where there is nothing to turn, or `auto` and too small a budget."""
    if not any(space.choices.values()):
        return None
    if spec.search.knobs == "auto" and not _affords(spec.budget):
        return None
    trials = spec.budget.trials
    return SecondStage(
        space,
        tie=spec.confirm.tie,
        batch=spec.problem.batch_size,
        parts=traits_of(spec.scenario).is_split,
        first_trials=None if trials is None else max(1, round(trials * (1 - SHARE))),
    )


def leaders(known: Known) -> tuple[Configuration, ...]:
    """The best of what was tried with all knobs as usual, within reach of each other; without the baseline.

    The best of each engine come first, then the others.
    """
    values = {
        one: value for one, value in known.items() if value and not one.knobs and one.placement != "unpinned"
    }
    ranked = sorted(values, key=lambda one: -values[one])
    near = [one for one in ranked if values[one] * REACH >= values[ranked[0]]]
    first: dict[str, Configuration] = {}
    for one in near:
        first.setdefault(one.backend, one)
    return tuple(dict.fromkeys((*first.values(), *near)))[:LEADERS]


def without_knobs(configuration: Configuration) -> Configuration:
    """The same with all knobs as usual."""
    return replace(configuration, knobs="")


def _helpful(singles: Mapping[Configuration, Knobs], known: Known, least: float) -> Sequence[Knobs]:
    """The single turns that reached more than `least`, best first; of each knob the best."""
    values = {one: value for one in singles if (value := known.get(one)) and value > least}
    best: dict[str, Knobs] = {}
    for one in sorted(values, key=lambda one: -values[one]):
        (name,) = singles[one]
        best.setdefault(name, singles[one])
    return list(best.values())


def _with(leader: Configuration, knobs: Knobs) -> Configuration:
    return replace(leader, knobs=format_knobs(knobs))


def _count(choices: Mapping[str, Sequence[str]]) -> int:
    return sum(len(values) for values in choices.values())


def _affords(budget: Budget) -> bool:
    trials, minutes = budget.trials, budget.minutes
    return (trials is None or trials >= LEAST_TRIALS) and (minutes is None or minutes >= LEAST_MINUTES)
