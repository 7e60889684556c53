"""Runs streams with a real engine, and compares every answer with the unpadded one; see `test_answers.py`.

    python answers_child.py BACKEND ARTIFACT REFERENCE_ARTIFACT STREAM...

The reference is PyTorch at fp32, one sequence at a time, unpadded. Writes a JSON object: by stream, the least
cosine similarity of an answer and the greatest difference of a number as a share of the greatest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autotune.backends.registry import get_backend
from autotune.model.stream import Stream
from autotune.worker.streaming import StreamedRequests

Array = np.ndarray[Any, Any]


def main(backend: str, artifact: Path, reference: Path, streams: list[Path]) -> None:
    plain = get_backend("pytorch").load(reference, "fp32", 1)
    session = get_backend(backend).load(artifact, "fp32", 1)
    found = {}
    for directory in streams:
        stream = Stream(directory)
        requests, expected = StreamedRequests(session, stream), dict[int, Array]()
        pairs = []
        for index in range(min(64, stream.description.requests)):
            requests()
            for number, answer in zip(stream.request(index), requests.answers(), strict=True):
                if number not in expected:
                    expected[number] = plain.run(unpadded(stream, number))[0]
                pairs.append((expected[number], answer))
        found[str(directory)] = compared(pairs)
    sys.stdout.write(json.dumps(found))


def unpadded(stream: Stream, number: int) -> Mapping[str, Array]:
    tokens = stream.tokens(number)[np.newaxis].astype(np.int64)
    values = {"tokens": tokens, "ones": np.ones_like(tokens), "zeros": np.zeros_like(tokens)}
    return {name: values[kind] for name, kind in stream.inputs.arrays.items()}


def compared(pairs: list[tuple[Array, Array]]) -> dict[str, float]:
    assert all(one.shape == other.shape for one, other in pairs)
    cosines = [
        float(one.ravel() @ other.ravel() / (np.linalg.norm(one) * np.linalg.norm(other)))
        for one, other in pairs
    ]
    greatest = max(float(np.abs(one).max()) for one, _ in pairs)
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    return {"cosine": min(cosines), "difference": difference / greatest}


if __name__ == "__main__":
    own, made, compared_with, *folders = sys.argv[1:]
    main(own, Path(made), Path(compared_with), [Path(folder) for folder in folders])
