"""A linear model with heavy-tailed errors, where what is known beforehand counts: `fit`.

The model is values = design @ coefficients + error. The errors are independent, Student's t with `TAILS`
degrees of freedom and a common scale, so that a value that was hit by a spike pulls little. Coefficients may
have a normal prior, and the scale one from comparable earlier values.

Source: K. L. Lange, R. J. A. Little, J. M. G. Taylor, Robust Statistical Modeling Using the t Distribution,
Journal of the American Statistical Association 84 (1989) 881-896: the weights and the expected information.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TAILS = 5.0
"""Degrees of freedom of the errors. Source: Lange et al., who find values around 4 in real data; blocks that
were recorded on a busy two-cpu host have a kurtosis of 2.5 to 4.5 after correction, the normal's being 3."""

FLOOR = 0.002
"""The smallest scale believed in, as a share: clocks and counters are no better."""

_STEPS = 50
_AGREEMENT = 1e-6
_RANK = 1e-15
"""Of the largest eigenvalue; a smaller one is nothing. Source: numpy.linalg.pinv."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScalePrior:
    """What is known of the errors' scale beforehand.

    Attributes:
        scale: of one value's error.
        freedom: as how many values of its own this counts; 0 = nothing is known.
    """

    scale: float = 0.0
    freedom: float = 0.0


@dataclass(frozen=True)
class Fit:
    """What the values say of the coefficients.

    Attributes:
        coefficients: estimates; covariance: of their errors, (k, k).
        scale: of the errors; freedom: what it stands on.
    """

    coefficients: Floats
    covariance: Floats
    scale: float
    freedom: float

    def contrast(self, direction: ArrayLike) -> tuple[float, float]:
        """A weighted sum of coefficients and its standard error.

        Args:
            direction: a weight for each coefficient, (k,).
        """
        weights = np.asarray(direction, dtype=np.float64)
        variance = float(weights @ self.covariance @ weights)
        return float(weights @ self.coefficients), math.sqrt(max(0.0, variance))


def fit(
    design: ArrayLike,
    values: ArrayLike,
    *,
    mean: ArrayLike,
    precision: ArrayLike,
    prior: ScalePrior,
) -> Fit:
    """Fit the model.

    Args:
        design: a row for each value, (n, k).
        values: (n,).
        mean, precision: of the coefficients' normal prior, (k,); precision 0 = nothing is known.
        prior: of the scale. Where it knows nothing and the values leave no freedom, the result has none:
            `freedom` is 0 and the scale is `FLOOR`.
    """
    matrix, found = np.asarray(design, dtype=np.float64), np.asarray(values, dtype=np.float64)
    known, expected = np.diag(np.asarray(precision, dtype=np.float64)), np.asarray(mean, dtype=np.float64)
    scale, weights = _first_scale(found, prior), np.ones(len(found))
    coefficients, pulled = expected, known @ expected
    freedom = 0.0
    for _ in range(_STEPS):
        weighted = matrix.T * (weights / scale**2)
        normal = weighted @ matrix
        inverse = _pseudo_inverse(normal + known)
        coefficients = inverse @ (weighted @ found + pulled)
        rest = found - matrix @ coefficients
        used = float((inverse * normal).sum())  # the trace of their product, as both are symmetric
        freedom = max(0.0, prior.freedom + len(found) - used)
        last, scale = scale, _scale(rest, weights, prior, freedom)
        weights = (TAILS + 1) / (TAILS + (rest / scale) ** 2)
        if abs(math.log(scale / last)) < _AGREEMENT:
            break
    information = (TAILS + 1) / (TAILS + 3) / scale**2 * (matrix.T @ matrix) + known
    return Fit(coefficients, _pseudo_inverse(information), scale, freedom)


def _pseudo_inverse(symmetric: Floats) -> Floats:
    """Give the inverse of a symmetric matrix, without the directions of which it says nothing.

    `numpy.linalg.pinv` gives the same, and takes longer for a matrix as small as these: a fit takes a dozen
    steps, and a search fits after every trial.
    """
    values, vectors = np.linalg.eigh(symmetric)
    sizes = np.abs(values)
    says_something = sizes > _RANK * sizes.max(initial=0.0)
    kept = vectors[:, says_something]
    return np.asarray((kept / values[says_something]) @ kept.T, dtype=np.float64)


def _first_scale(values: Floats, prior: ScalePrior) -> float:
    spread = float(np.std(values)) if len(values) else 0.0
    return max(prior.scale or spread, FLOOR)


def _scale(rest: Floats, weights: Floats, prior: ScalePrior, freedom: float) -> float:
    if freedom <= 1e-9:
        return FLOOR
    squares = prior.freedom * prior.scale**2 + float(weights @ rest**2)
    return max(math.sqrt(squares / freedom), FLOOR)
