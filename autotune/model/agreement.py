"""How closely an engine's outputs follow those of the fp32 reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

REFERENCE_SHAPES = ((1, 1), (2, 16), (3, 9))
"""`(batch, tokens)` of the requests compared: more than one, so that a shape baked in at export shows."""

LONGER_SHAPES = ((2, 64), (1, 128), (2, 512))
"""Likewise, of a model that takes none of these: some take whole blocks of tokens alone."""

REFERENCE_SEED = 20_221

LEAST_COSINE = 0.99999
"""Of what was made of a model at fp32 to the model: only the order of additions differs. A number that a
shape was taken for in tracing moves answers by more."""

LEAST_COSINE_OF_ROUNDED = 0.99
"""Likewise at a precision of fewer bits, where rounding differs too."""


@dataclass(frozen=True)
class Agreement:
    """The worst of all requests compared.

    Attributes:
        cosine: least cosine similarity of one sequence's output to the reference.
        max_abs_difference: greatest difference of one number.
    """

    cosine: float
    max_abs_difference: float


def measure_agreement(
    references: Sequence[np.ndarray[Any, Any]], outputs: Sequence[np.ndarray[Any, Any]]
) -> Agreement:
    """Compare outputs `(batch, ...)` with the reference's, request by request; shapes must be equal.

    Raises:
        ValueError: a shape differs, or an output is not finite.
    """
    cosines: list[float] = []
    differences: list[float] = []
    for reference, output in zip(references, outputs, strict=True):
        if output.shape != reference.shape:
            raise ValueError(f"an output has the shape {output.shape}, not {reference.shape}")
        if not np.isfinite(output).all():
            raise ValueError("an output has numbers that are not finite")
        cosines.append(float(sequence_cosines(reference, output).min()))
        differences.append(float(np.abs(reference - output).max()))
    return Agreement(cosine=min(cosines), max_abs_difference=max(differences))


def sequence_cosines(
    reference: np.ndarray[Any, Any], output: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cosine similarity of each sequence's output to the reference's; both `(batch, ...)`.

    Two zero outputs agree; a zero against anything else has no direction, hence no agreement.
    """
    a = reference.reshape(len(reference), -1).astype(np.float64)
    b = output.reshape(len(output), -1).astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products = (a * b).sum(axis=1)
    same = (a == b).all(axis=1)
    cosines: np.ndarray[Any, np.dtype[np.float64]] = np.where(
        lengths > 0, products / np.maximum(lengths, 1e-300), same
    )
    return cosines
