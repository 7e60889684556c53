"""How long a study will take, before anything is measured."""

from __future__ import annotations

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


def estimated_trials(spec: StudySpec, space: SearchSpace) -> int:
    """How many trials a study has at most: every configuration, the baseline and knobs, or the budget."""
    second = second_stage(spec, space.knobs)
    everything = len(space.configurations) + 1 + (second.most_moves() if second else 0)
    return everything if spec.budget.trials is None else min(spec.budget.trials, everything)


def estimated_s(spec: StudySpec, space: SearchSpace) -> float:
    """Seconds that a study takes at most from an empty cache, but for very slow models and waiting.

    Per trial `START_UP_S`, the whole warm-up and every block that it may have; per round of the confirmation
    as much for the finalists, the twin and the baseline, with the fewest blocks; where requests differ, a
    block may last `CYCLE_BLOCKS` times as long; `PREPARATION_S` per model, backend and precision; never more
    than the budget's minutes and one trial.
    """
    measure, confirm = spec.measure, spec.confirm
    launch_s = START_UP_S + measure.warmup_s
    block_s = measure.block_s * (CYCLE_BLOCKS if spec.problem.is_stream else 1)
    trial_s = launch_s + max(measure.blocks, measure.max_blocks) * block_s
    round_s = (confirm.finalists + 2) * (launch_s + measure.blocks * block_s)
    artifacts = {one.prepared for one in (space.baseline, *space.configurations)}
    total_s = (
        estimated_trials(spec, space) * trial_s + confirm.rounds * round_s + len(artifacts) * PREPARATION_S
    )
    return total_s if spec.budget.minutes is None else min(total_s, spec.budget.minutes * 60 + trial_s)
