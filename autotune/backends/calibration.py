"""Makes the calibration artifact: requests, and what the fp32 reference answers. Runs in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.transformers_model import load_model
from autotune.model.calibration import CalibrationSource, Request, write_requests
from autotune.model.inputs import make_inputs, read_inputs

CALIBRATION = "calibration"
"""Stands in the place of the backend where a calibration artifact is named."""
ANSWERS_FILE = "answers.npz"

LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1)
"""Of random requests, as shares of the longest, in turn: an engine sees short sequences and long ones."""


def write_calibration(reference: Path, source: CalibrationSource, directory: Path) -> None:
    """Write the requests and the reference's answers into the empty `directory`.

    Args:
        reference: a finished reference artifact.
    """
    requests = list(_random_requests(reference, source))
    write_requests(directory, requests)
    answers = _answers(reference, requests)
    arrays = {f"{index:05}": answer for index, answer in enumerate(answers)}
    np.savez(directory / ANSWERS_FILE, allow_pickle=False, **arrays)


def read_answers(directory: Path) -> list[np.ndarray[Any, Any]]:
    """What the fp32 reference answered to `read_requests(directory)`; first axis = batch."""
    with np.load(directory / ANSWERS_FILE, allow_pickle=False) as stored:
        return [stored[name] for name in sorted(stored.files)]


def _random_requests(reference: Path, source: CalibrationSource) -> Iterator[Request]:
    """One sequence each, so that nothing is padded."""
    longest = read_inputs(reference).max_sequence_length or source.tokens
    for index in range(source.sequences):
        share = LENGTHS[index % len(LENGTHS)]
        tokens = max(1, round(min(source.tokens, longest) * share))
        yield make_inputs(reference, 1, tokens, source.seed + index)


def _answers(reference: Path, requests: list[Request]) -> Iterator[np.ndarray[Any, Any]]:
    module = load_model(reference, "float32")
    import torch

    with torch.inference_mode():
        for request in requests:
            tensors = {name: torch.from_numpy(array) for name, array in request.items()}
            yield module(**tensors)[0].numpy()
