"""The child in which a backend under contract is loaded and run, as a worker would."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autotune.backends.protocol import Session, Shape
from autotune.backends.registry import get_backend
from autotune.model.child import answer_parent
from autotune.spec.configuration import Precision

SEED = 7


@dataclass(frozen=True)
class ProbeRequest:
    """What the child is to load and run.

    Attributes:
        directory: of the artifact.
        requests: `(batch, tokens)` of each.
    """

    backend: str
    precision: Precision
    directory: Path
    threads: int
    requests: tuple[Shape, ...]

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object."""
        return {**asdict(self), "directory": str(self.directory)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ProbeRequest:
        """Read what `to_json` writes."""
        requests = tuple((batch, tokens) for batch, tokens in document["requests"])
        return cls(**{**document, "directory": Path(document["directory"]), "requests": requests})


@dataclass(frozen=True)
class Probed:
    """What the child saw.

    Attributes:
        imported: top-level modules that were there before the engine was loaded.
        runs: of each request: shape, extremes, and digests of two answers.
        report: of the session.
    """

    imported: tuple[str, ...]
    runs: tuple[dict[str, Any], ...]
    report: dict[str, Any]


def probe(document: dict[str, Any]) -> dict[str, Any]:
    """Load an artifact, run every request twice, and answer with what was seen."""
    request = ProbeRequest.from_json(document)
    backend = get_backend(request.backend)
    imported = tuple(sorted({name.partition(".")[0] for name in sys.modules}))
    sys.argv = _worker_arguments(request)
    session = backend.load(request.directory, request.precision, request.threads)
    runs = tuple(_run(session, request.directory, batch, tokens) for batch, tokens in request.requests)
    report = asdict(session.report())
    session.close()
    return asdict(Probed(imported, runs, report))


def _run(session: Session, directory: Path, batch: int, tokens: int) -> dict[str, Any]:
    inputs = _inputs(directory, batch, tokens)
    outputs = [session.run(inputs) for _ in range(2)]
    return {
        "shape": list(outputs[0].shape),
        "extremes": [float(outputs[0].min()), float(outputs[0].max())],
        "digests": [_digest(output) for output in outputs],
    }


def _inputs(directory: Path, batch: int, tokens: int) -> Mapping[str, Any]:
    if not (directory / "inputs.json").exists():
        return {}
    from autotune.model.inputs import make_inputs

    return make_inputs(directory, batch, tokens, SEED)


def _digest(output: Any) -> str:
    content = output.tobytes() if hasattr(output, "tobytes") else repr(output).encode()
    return hashlib.sha256(content).hexdigest()


def _worker_arguments(request: ProbeRequest) -> list[str]:
    """Write a worker's command line: the fake backend reads its instance and batch from it."""
    batch, tokens = request.requests[0]
    options = {
        **{"backend": request.backend, "precision": request.precision, "artifact": request.directory},
        **{"batch-size": batch, "sequence-length": tokens, "threads": request.threads, "seed": SEED},
        **{"warmup-s": 1, "instance": 0, "instances": 1},
    }
    return ["worker", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


if __name__ == "__main__":
    answer_parent(probe)
