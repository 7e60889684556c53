"""Where the rounds of a contest contradict what the search had measured of the same configurations.

What comes to a host takes speed away and gives none. So the rounds are doubted where a configuration reached
less in them than in the search, and fell behind another one by that. What slows everybody alike leaves the
ratios as they are, and what was held up in the search alone says nothing of the rounds: neither is a
contradiction.

Two changes differ where they lie further apart than all of this together: what chance does, by Student's t at
the level `LEVEL` over all pairs, with the noise of a launch as search and rounds have learned it; what the
correction for the host's conditions may be wrong by, `UNSURE` standard errors; and what the best of several
owes to luck. A factor of less than `REACH` is no difference.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from autotune.rounds.posterior import ContestPrior, Posterior
from autotune.statistics.linear import TAILS
from autotune.statistics.paired import t_quantile
from autotune.statistics.spread import deviation

REACH = 1.3
"""Further than by this factor the search's noise does not take a configuration away from another one.

Source: stated, of the search and of the choice of finalists alike; `studies/benchmarks/noisy_hosts.py` counts
how often it does on hosts to which nobody comes."""

LEVEL = 0.001
"""Probability that chance alone makes rounds and search contradict each other in one study: such a study has
no plan, though nothing was wrong with it."""


UNSURE = 2.0
"""Standard errors by which a correction may be off: 95 %, of a wide prior where nothing was learned."""


@dataclass(frozen=True)
class Earlier:
    """What the search had measured of a configuration, in one launch.

    Attributes:
        goodness: under usual conditions, as far as the study corrects.
        spread: standard deviation of its logarithm, as the blocks of the search let expect it.
        deviations: of the launch's covariates from what is usual, as those of `Run`.
        among: it was chosen for being the best of so many; 1 = it was not chosen for that.
    """

    goodness: float
    spread: float
    deviations: tuple[float, ...] = ()
    among: int = 1

    @property
    def luck(self) -> float:
        """By how much chance raises the logarithm of the best of several equal ones, at most on average.

        Source: S. Boucheron, G. Lugosi, P. Massart, Concentration Inequalities, 2.5: the expected maximum of
        n normal values is at most sqrt(2 ln n) standard deviations.
        """
        return self.spread * math.sqrt(2 * math.log(self.among))


@dataclass(frozen=True)
class Contradiction:
    """How a configuration fell behind another one in the rounds.

    Attributes:
        behind: name of the other.
        times: by which factor its ratio to that is less than in the search.
        allowed: the factor that noise explains.
    """

    behind: str
    times: float
    allowed: float


@dataclass(frozen=True)
class Compared:
    """A configuration in the search and in the rounds.

    Attributes:
        before: its goodness in the search; now: in the rounds; both under usual conditions.
        contradiction: None where the two agree, as far as noise lets one say.
    """

    name: str
    before: float
    now: float
    contradiction: Contradiction | None = None


def compare(earlier: Mapping[str, Earlier], posterior: Posterior) -> tuple[Compared, ...]:
    """Compare search and rounds of every configuration, in the order given.

    Args:
        earlier: by name; those that are not in the posterior are left out.
    """
    known = {name: seen for name, seen in earlier.items() if posterior.has(name)}
    found = _contradictions(known, posterior)
    return tuple(
        Compared(name, seen.goodness, posterior.value(name).estimate, found.get(name))
        for name, seen in known.items()
    )


def _contradictions(known: Mapping[str, Earlier], posterior: Posterior) -> dict[str, Contradiction]:
    """By name, each beside the one that it fell behind the furthest."""
    pairs = list(permutations(known, 2))
    if not pairs:
        return {}
    noise = round_noise(posterior)
    sure = t_quantile(1 - LEVEL / len(pairs), max(1.0, posterior.freedom))
    found: dict[str, Contradiction] = {}
    for name, other in pairs:
        fell = posterior.value(name).estimate * REACH < known[name].goodness
        behind = _behind(known, posterior, name, other)
        reach = sure * _noise_of_pair(known, posterior, noise, name, other)
        reach += UNSURE * _unsureness(known, posterior, name, other) + known[name].luck
        if not fell or behind <= max(math.log(REACH), reach):
            continue
        if name not in found or math.exp(behind) > found[name].times:
            found[name] = Contradiction(other, math.exp(behind), max(REACH, math.exp(reach)))
    return found


def round_noise(posterior: Posterior) -> float:
    """Standard deviation of the logarithm of one launch: as the search had it, or more as the rounds show it.

    Of the configurations' own spreads over the rounds the median one, so that what hits one of them alone
    excuses nothing.
    """
    names = dict.fromkeys(run.configuration for run in posterior.runs)
    logs = [[math.log(value) for value in posterior.values(name)] for name in names]
    spreads = [deviation(values) for values in logs if len(values) > 1]
    before = posterior.prior.noise.scale * math.sqrt(TAILS / (TAILS - 2))
    return max(before, statistics.median_low(spreads)) if spreads else before


def _behind(known: Mapping[str, Earlier], posterior: Posterior, name: str, other: str) -> float:
    """By how much the ratio of one to another is less in the rounds than in the search, in logarithms."""
    now, _ = posterior.gap(name, other)
    return math.log(known[name].goodness / known[other].goodness) - now


def _noise_of_pair(
    known: Mapping[str, Earlier], posterior: Posterior, noise: float, name: str, other: str
) -> float:
    """Standard error of that by noise: of a launch of the search and of all runs, of each of the two."""
    return math.hypot(
        *(max(noise, known[side].spread) for side in (name, other)),
        *(noise / math.sqrt(posterior.count(side)) for side in (name, other)),
    )


def _unsureness(known: Mapping[str, Earlier], posterior: Posterior, name: str, other: str) -> float:
    """Standard error of that by the slopes, as far as conditions changed for one more than for the other."""
    moved = zip(_moved(known[name], posterior, name), _moved(known[other], posterior, other), strict=True)
    errors = _slope_errors(posterior.prior)
    return math.hypot(*(error * (own - its) for error, (own, its) in zip(errors, moved, strict=True)))


def _slope_errors(prior: ContestPrior) -> list[float]:
    """How unsure each slope is: by its error, and by how far the search took it from what was expected.

    A search whose host changed a few times only may find any slope and be sure of it.
    """
    expected = prior.expected or prior.slopes
    return [
        math.hypot(error, slope - before)
        for error, slope, before in zip(prior.errors, prior.slopes, expected, strict=True)
    ]


def _moved(seen: Earlier, posterior: Posterior, name: str) -> tuple[float, ...]:
    """By how much each covariate differed between the rounds and the search."""
    now = posterior.conditions(name)
    before = seen.deviations or (0.0,) * len(now)
    return tuple(here - there for here, there in zip(now, before, strict=True))
