"""Prints what `autotune verify` says of plans of known truth, by its rule and by the rule before.

    python -m studies.benchmarks.verification [--studies 200] [--json]

Nothing is started and nobody waits: trials run on a simulated clock (`autotune.testing.simulation`), and all
that decides is the product's own. Every plan comes from a study of a baseline and five faster configurations
that were measured and confirmed with the defaults, and states what that found. An hour later it is verified
with the defaults, in noise of another seed, in three cases:

- `unchanged`: everything is as it was;
- `10 % worse`: the plan is 10 % slower, and its baseline is not;
- `bad minute`: everything is as it was, but the study met the baseline 10 % slower than it is.

The rule before took the gain alone: a plan held where the gain's interval lay above the lower end of the
stated one, less the tolerance. So one that states its gain unsurely held whatever became of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

from autotune.events import unheard
from autotune.jobs.dueling import Bounds, Dueling
from autotune.jobs.verification import BASELINE, PLAN, TOLERANCE, promise_of, verify_with
from autotune.measurement.measurement import TrialResult
from autotune.plan.document import Plan
from autotune.plan.study import spec_of
from autotune.rounds.duel import Duel
from autotune.rounds.running import Entrant
from autotune.search.experience import run_blocks
from autotune.statistics.paired import Interval
from autotune.statistics.promise import Promise, PromiseVerdict
from autotune.stop import Stop
from autotune.testing.noise import Noise
from autotune.testing.shares import ObservedShare, share_of
from autotune.testing.simulation import SimulatedMachine
from studies.benchmarks.confirmation import NOISES, SLOW, table
from studies.benchmarks.simulated_tune import REQUEST_S, setup_of, simulated_tune

FEWEST = 10
CONFIGURATIONS = 5
SPEEDS = 1.2, 3.3
"""Between which speeds the configurations lie, where the baseline's is 1: who wins is never the baseline."""

CASES: Mapping[str, tuple[float, float]] = {
    "unchanged": (1.0, 1.0),
    "10 % worse": (1.0, 0.9),
    "bad minute": (0.9, 1.0),
}
"""How fast the baseline is in the study, and the plan when it is verified, as shares of what they are."""

LATER = 500_000_000
"""Between the seed of a study's noise and that of its verification."""


@dataclass(frozen=True)
class Answer:
    """What a rule said of one plan.

    Attributes:
        verdict: `better` counts as `holds`, as both let a deployment go on.
        rounds: that it took.
    """

    verdict: PromiseVerdict
    rounds: int


@dataclass(frozen=True)
class Figures:
    """What a rule said of the plans of one case under one kind of noise, as shares.

    Attributes:
        rounds: mean of what it took.
        soon: share that holds after three rounds.
    """

    rule: str
    case: str
    noise: str
    holds: ObservedShare
    worse: ObservedShare
    undecided: ObservedShare
    rounds: float
    soon: ObservedShare


def answers(pool: ProcessPoolExecutor, case: str, noise: str, studies: int) -> list[dict[str, Answer]]:
    """Verify as many plans of a case under one noise; by rule what was said of each."""
    seeds = _seeds(case, noise, studies)
    given = pool.map(_answers, [(case, noise, seed) for seed in seeds], chunksize=5)
    return [answer for answer in given if answer]


def _seeds(case: str, noise: str, studies: int) -> range:
    """No two studies have their noise in common."""
    cell = len(CASES) * list(NOISES).index(noise) + list(CASES).index(case)
    return range(1_000_000 * cell, 1_000_000 * cell + studies)


def _answers(arguments: tuple[str, str, int]) -> dict[str, Answer]:
    """Tune and verify once; nothing where the baseline itself became the plan."""
    case, noise, seed = arguments
    baseline_then, plan_now = CASES[case]
    source = random.Random(f"{case} {seed}")
    speeds = [1.0, *(source.uniform(*SPEEDS) for _ in range(CONFIGURATIONS))]
    plan = simulated_tune([baseline_then, *speeds[1:]], NOISES[noise], seed).plan
    if plan is None or plan.is_baseline:
        return {}
    now = list(speeds)
    now[plan.configuration.threads_per_instance] *= plan_now
    entrants = _entrants(plan)
    return {
        name: rule(plan, entrants, _measuring(plan, now, NOISES[noise], seed + LATER))
        for name, rule in RULES.items()
    }


def _entrants(plan: Plan) -> tuple[Entrant, ...]:
    return (
        Entrant(PLAN, "finalist", plan.configuration, 1, ()),
        Entrant(BASELINE, "baseline", setup_of(CONFIGURATIONS).space.baseline, 0, ()),
    )


def _measuring(
    plan: Plan, speeds: Sequence[float], noise: Noise, seed: int
) -> Callable[[Entrant], TrialResult]:
    """Measure entrants on a machine as rounds do: a fixed number of blocks each."""
    machine = SimulatedMachine(
        lambda configuration: REQUEST_S / speeds[configuration.threads_per_instance], noise, seed
    )
    spec = spec_of(plan)
    fixed = spec.measure.model_copy(update=dict.fromkeys(("blocks", "max_blocks"), run_blocks(spec)))
    return lambda entrant: machine.trial(entrant.configuration, fixed)


def by_the_rule(
    plan: Plan, entrants: tuple[Entrant, ...], measure: Callable[[Entrant], TrialResult]
) -> Answer:
    """Verify as the product does."""
    verified = verify_with(plan, TOLERANCE, entrants, measure, Bounds())
    verdict: PromiseVerdict = "undecided" if verified.verdict == "stale" else verified.verdict
    return Answer(_as_holding(verdict), len(verified.runs) // len(entrants))


def by_the_rule_before(
    plan: Plan, entrants: tuple[Entrant, ...], measure: Callable[[Entrant], TrialResult]
) -> Answer:
    """Verify as the product did: by the gain alone."""
    promised = promise_of(plan, "gain")
    duel = Duel(
        [entrant.name for entrant in entrants],
        max_rounds=Bounds().rounds,
        seed=spec_of(plan).seed,
        is_decided=lambda duel: _agreement_before(promised, duel.ratio()) != "undecided",
    )
    Dueling(duel, entrants, spec_of(plan), measure, unheard, Stop(), Bounds()).run()
    return Answer(_as_holding(_agreement_before(promised, duel.ratio())), duel.rounds)


def _agreement_before(promise: Promise, now: Interval | None) -> PromiseVerdict:
    if now is None:
        return "undecided"
    if now.low >= promise.bottom(TOLERANCE):
        return "holds"
    return "worse" if now.high < promise.bottom(TOLERANCE) else "undecided"


def _as_holding(verdict: PromiseVerdict) -> PromiseVerdict:
    return "holds" if verdict == "better" else verdict


RULES = {"before": by_the_rule_before, "now": by_the_rule}


def figures(rule: str, case: str, noise: str, given: Sequence[dict[str, Answer]]) -> Figures:
    """Sum up what a rule said."""
    said = [answer[rule] for answer in given]

    def share(is_so: Callable[[Answer], bool]) -> ObservedShare:
        return share_of([[is_so(answer)] for answer in said])

    return Figures(
        rule=rule,
        case=case,
        noise=noise,
        holds=share(lambda answer: answer.verdict == "holds"),
        worse=share(lambda answer: answer.verdict == "worse"),
        undecided=share(lambda answer: answer.verdict == "undecided"),
        rounds=statistics.fmean(answer.rounds for answer in said),
        soon=share(lambda answer: answer.verdict == "holds" and answer.rounds == 3),
    )


def main() -> None:
    """Run all studies on all cores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--studies", type=int, default=200, help="plans of each case under each noise")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    if arguments.studies < FEWEST:
        parser.error(f"--studies {arguments.studies} would say nothing: take {FEWEST} or more")
    began_s = time.perf_counter()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        given = {
            case: {noise: answers(pool, case, noise, arguments.studies) for noise in NOISES} for case in CASES
        }
    summed = [row for case, by_noise in given.items() for row in _rows(case, by_noise)]
    if arguments.json:
        print(json.dumps([asdict(row) for row in summed], indent=2))
        return
    for case in CASES:
        report(case, [row for row in summed if row.case == case])
    print(f"\n{SLOW}: what the machine does an hour later is not known from minutes, and moves every value")
    print(f"{time.perf_counter() - began_s:.0f} s on {len(os.sched_getaffinity(0))} cpus")


def _rows(case: str, by_noise: Mapping[str, list[dict[str, Answer]]]) -> list[Figures]:
    """Both rules under every noise, and under all but the slowest together."""
    together = [answer for noise, given in by_noise.items() if noise != SLOW for answer in given]
    everything = {**by_noise, f"all but {SLOW}": together}
    return [figures(rule, case, noise, given) for noise, given in everything.items() for rule in RULES]


def report(case: str, rows: Sequence[Figures]) -> None:
    """Print one table."""
    heads = ("plans", "holds", "worse", "undecided", "holds after 3 rounds", "rounds, mean")
    table(
        f"{case}: what is said, in % +- standard error",
        heads,
        [
            (
                f"{row.noise}, {row.rule}",
                (
                    str(row.holds.count),
                    *map(_words, (row.holds, row.worse, row.undecided, row.soon)),
                    f"{row.rounds:.1f}",
                ),
            )
            for row in rows
        ],
    )


def _words(share: ObservedShare) -> str:
    return f"{100 * share.share:.1f} +- {100 * share.error:.1f}"


if __name__ == "__main__":
    main()
