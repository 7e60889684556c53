"""Finds where a function is zero, as `scipy.optimize.brentq` does, without half a second of imports.

Source: R. P. Brent, Algorithms for Minimization Without Derivatives, 1973, chapter 4; step by step as in
scipy/optimize/Zeros/brentq.c, so that both give the same number.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Final

MOST_STEPS: Final = 100
RELATIVE: Final = 4 * sys.float_info.epsilon
"""Closer than this share of itself no root is looked for."""


def find_root(function: Callable[[float], float], low: float, high: float, *, tolerance: float) -> float:
    """Give a place between both ends where the function is zero.

    Args:
        function: with values of different signs at the ends.
        tolerance: how far from the root the place may be.

    Raises:
        ValueError: both ends have values of one sign.
    """
    before, here = low, high
    value_before, value = function(before), function(here)
    if value_before == 0:
        return before
    if value == 0:
        return here
    if math.copysign(1, value_before) == math.copysign(1, value):
        raise ValueError(f"the function has one sign at {low:g} and {high:g}")
    other, value_other, step_before, step = before, value_before, here - before, here - before
    for _ in range(MOST_STEPS):
        if value_before != 0 and math.copysign(1, value_before) != math.copysign(1, value):
            other, value_other = before, value_before
            step_before = step = here - before
        if abs(value_other) < abs(value):
            before, here, other = here, other, here
            value_before, value, value_other = value, value_other, value
        delta = (tolerance + RELATIVE * abs(here)) / 2
        half = (other - here) / 2
        if value == 0 or abs(half) < delta:
            return here
        tried = math.inf
        if abs(step_before) > delta and abs(value) < abs(value_before):
            tried = _interpolated((before, value_before), (here, value), (other, value_other))
        is_near = 2 * abs(tried) < min(abs(step_before), 3 * abs(half) - delta)
        step_before, step = (step, tried) if is_near else (half, half)
        before, value_before = here, value
        here += step if abs(step) > delta else math.copysign(delta, half)
        value = function(here)
    return here


_Point = tuple[float, float]


def _interpolated(before: _Point, here: _Point, other: _Point) -> float:
    """Give the step to the root of a line, or of a parabola on its side, through the points."""
    (x_before, y_before), (x, y), (x_other, y_other) = before, here, other
    if x_before == x_other:
        return -y * (x - x_before) / (y - y_before)
    slope_before, slope_other = (y_before - y) / (x_before - x), (y_other - y) / (x_other - x)
    numerator = -y * (y_other * slope_other - y_before * slope_before)
    return numerator / (slope_other * slope_before * (y_other - y_before))
