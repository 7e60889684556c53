from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from autotune.statistics.roots import find_root

CURVES: dict[str, Callable[[float, float], float]] = {
    "line": lambda x, root: x - root,
    "cube": lambda x, root: (x - root) ** 3,
    "step": lambda x, root: math.copysign(1.0, x - root),
    "queue": lambda x, root: 1 / (1.001 - root) - 1 / (1.001 - x),
    "bent": lambda x, root: math.expm1(5 * (x - root)),
    "falling": lambda x, root: math.atan(20 * (root - x)),
}


@pytest.mark.parametrize("name", CURVES)
@given(root=st.floats(0.001, 0.999), tolerance=st.sampled_from([1e-3, 1e-6, 1e-12]))
def test_the_root_is_the_one_that_scipy_finds(name: str, root: float, tolerance: float) -> None:
    def function(x: float) -> float:
        return CURVES[name](x, root)

    expected = brentq(function, 0.0, 1.0, xtol=tolerance, disp=False)
    assert find_root(function, 0.0, 1.0, tolerance=tolerance) == expected


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_a_root_at_an_end_is_found(end: float) -> None:
    assert find_root(lambda x: x - end, 0.0, 1.0, tolerance=1e-6) == end


def test_ends_of_one_sign_are_refused() -> None:
    with pytest.raises(ValueError, match="one sign at 0 and 1"):
        find_root(lambda x: x + 1, 0.0, 1.0, tolerance=1e-6)
