"""How long a study will take at most, and how its minutes are shared between search and confirmation."""

from __future__ import annotations

import math

from autotune.rounds.looks import MIN_ROUNDS
from autotune.search.experience import run_blocks
from autotune.search.second_stage import second_stage
from autotune.search.space import SearchSpace
from autotune.spec.study import StudySpec
from autotune.trial.conductor import CYCLE_BLOCKS

START_UP_S = 6.0
"""Launch and load of one configuration's workers. Source: import torch 1.6 s, loading 1-2 s per process,
measured on a 2-core Xeon where instances load at once on few cores."""
PREPARATION_S = 20.0
"""One artifact that is not in the cache yet. Source: exporting DistilBERT to ONNX 7 s, BERT 15 s, plus
importing torch and transformers 4 s."""

CONFIRMATION_SHARE = 1 / 2
"""At most this share of the budget's minutes is kept for the confirmation, whatever it may take: what was not
looked at cannot be confirmed."""

WORTHWHILE = 1.2
"""A configuration that is so many times as good as another is to be told from it."""

POWER_DEVIATIONS = 2.49
"""Standard normal quantiles of 95 % and 80 %: a risk of 5 %, and four of five such configurations found."""


def needed_rounds(spec: StudySpec, noise: float) -> int:
    """How many rounds a confirmation is to have, at least three and at most what the study says.

    n = 2 (z s / d)² runs of each tell two that differ by d, in logarithms, with the risk and the power that z
    stands for.

    Source: W. G. Cochran, G. M. Cox, Experimental Designs, 2nd edition, 2.21.

    Args:
        noise: s, standard deviation of the logarithm of one run within its round.
    """
    runs = 2 * (POWER_DEVIATIONS * noise / math.log(WORTHWHILE)) ** 2
    return min(max(MIN_ROUNDS, math.ceil(runs)), max(MIN_ROUNDS, spec.confirm.rounds))


def estimated_trials(spec: StudySpec, space: SearchSpace) -> int:
    """How many trials a study has at most: every configuration, the baseline and knobs, or the budget."""
    second = second_stage(spec, space.knobs)
    everything = len(space.configurations) + 1 + len(space.defaults) + (second.most_moves() if second else 0)
    return everything if spec.budget.trials is None else min(spec.budget.trials, everything)


def search_s(spec: StudySpec, *, round_s: float, rounds: int) -> float:
    """How long a call may search within the budget's minutes; the rest is for confirming what it has found.

    Args:
        round_s: what a round of the confirmation takes, by what is known so far.
        rounds: how many there are to be, as `needed_rounds` says.

    Returns:
        Seconds; infinite without a budget of minutes.
    """
    if spec.budget.minutes is None:
        return math.inf
    total_s = spec.budget.minutes * 60
    return total_s - min(CONFIRMATION_SHARE * total_s, rounds * round_s)


def estimated_s(spec: StudySpec, space: SearchSpace) -> float:
    """Seconds that a study takes at most from an empty cache, but for very slow models and waiting.

    Per trial `START_UP_S`, the whole warm-up and every block that it may have; per round of the confirmation
    as much for the finalists (with knobs and without, where there is a second stage), the twin, the best
    default and the baseline, with the fewest blocks; where requests differ, a block may last `CYCLE_BLOCKS`
    times as long;
    `PREPARATION_S` for each that is prepared: per model, backend and precision, and for knobs that are turned
    in preparation. With a budget of minutes no more than those and one trial with its artifact; or, where
    three rounds take longer than what is kept for them, the search's part of the minutes, that trial and
    three rounds. What other work on the host disturbs is measured again, and that is not foreseen.
    """
    measure, confirm = spec.measure, spec.confirm
    launch_s = START_UP_S + measure.warmup_s
    block_s = measure.block_s * (CYCLE_BLOCKS if spec.problem.is_stream else 1)
    trial_s = launch_s + max(measure.blocks, measure.max_blocks) * block_s
    second = second_stage(spec, space.knobs)
    forms = 1 if second is None else 2
    round_s = (forms * confirm.finalists + 3) * (launch_s + run_blocks(spec) * block_s)
    artifacts = len({one.prepared for one in (space.baseline, *space.configurations)})
    artifacts += 0 if second is None else second.most_preparations()
    total_s = estimated_trials(spec, space) * trial_s + confirm.rounds * round_s + artifacts * PREPARATION_S
    if spec.budget.minutes is None:
        return total_s
    budget_s = spec.budget.minutes * 60
    least_s = (1 - CONFIRMATION_SHARE) * budget_s + MIN_ROUNDS * round_s
    return min(total_s, max(budget_s, least_s) + trial_s + PREPARATION_S)
