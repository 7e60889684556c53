"""What to see in the time that is left, where it does not last for everything.

Gain per second alone spends the time on what is cheap, until what is best does not fit any more. The expected
best of a set of trials is a monotone submodular function of the set, and for those the better one of two
greedy sets, by gain per cost and by gain alone, is never far from the best set that the budget affords.

Source: Leskovec et al., Cost-effective Outbreak Detection in Networks, 2007, section 3.2 (theorem 3).
"""

from __future__ import annotations

import numpy as np

from autotune.search.likeness import Floats

DRAWS = 256
"""Of what all may be worth, over which the best is averaged; the same at every call."""


def affordable(means: Floats, spreads: Floats, costs_s: Floats, best: float, left_s: float) -> frozenset[int]:
    """The indices of what is to be seen in the time left.

    Args:
        means, spreads: of the logarithm of what each may be worth, independent of each other.
        best: what there is already.
    """
    draws = means + spreads * np.random.default_rng(0).standard_normal((DRAWS, len(means)))
    by_rate, of_rate = _greedy(draws, costs_s, costs_s, best, left_s)
    by_gain, of_gain = _greedy(draws, costs_s, np.ones(len(means)), best, left_s)
    return frozenset(by_gain if of_gain > of_rate else by_rate)


def _greedy(
    draws: Floats, costs_s: Floats, weights: Floats, best: float, left_s: float
) -> tuple[list[int], float]:
    """Take what adds most for its weight and fits, until nothing does; and the expected best of all."""
    taken: list[int] = []
    reached = np.full(len(draws), best)
    is_open = np.ones(draws.shape[1], dtype=bool)
    while True:
        is_open &= costs_s <= left_s
        gains = np.maximum(draws - reached[:, None], 0.0).mean(axis=0)
        rates = np.where(is_open, gains / weights, 0.0)
        following = int(rates.argmax()) if len(rates) else 0
        if not len(rates) or rates[following] <= 0:
            return taken, float(reached.mean())
        taken.append(following)
        is_open[following] = False
        left_s -= float(costs_s[following])
        reached = np.maximum(reached, draws[:, following])
