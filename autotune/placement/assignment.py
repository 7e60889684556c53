"""What one worker is asked to run, and the arguments that say it.

The arguments are written and read in this one place. Only the worker itself reads them: every other process
has the `Assignment`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.spec.configuration import PRECISIONS, Precision

WORKER_MODULE = "autotune.worker.worker"
"""What an instance runs: `python -P -m` this."""


@dataclass(frozen=True)
class Assignment:
    """One worker's part of a trial.

    Attributes:
        artifact: folder of the prepared model.
        batch_size: sequences in each of *this worker's* requests.
        sequence_length: tokens of each; 0 where they are those of a stream.
        requests: folder of the stream; None = one request again and again.
        threads: intra-op threads; 0 leaves the engine's default.
        warmup_s: upper bound of the warm-up.
        instance: index of this worker among `instances`.
        knobs: settings that differ from what is usual, as `autotune.spec.knobs` writes them.
    """

    backend: str
    precision: Precision
    artifact: Path
    batch_size: int
    threads: int
    seed: int
    warmup_s: float
    instance: int
    instances: int
    sequence_length: int = 0
    requests: Path | None = None
    knobs: str = ""

    @property
    def folders(self) -> tuple[Path, ...]:
        """What the worker loads: the artifact, and the stream of requests where there is one."""
        return (self.artifact, *([] if self.requests is None else [self.requests]))

    def arguments(self) -> tuple[str, ...]:
        """Write the worker's arguments; `parse_assignment(x.arguments()) == x`."""
        requests = (
            ("sequence-length", str(self.sequence_length))
            if self.requests is None
            else ("requests", str(self.requests))
        )
        named = (
            ("backend", self.backend),
            ("precision", self.precision),
            ("artifact", str(self.artifact)),
            requests,
            ("threads", str(self.threads)),
            ("seed", str(self.seed)),
            ("warmup-s", _number(self.warmup_s)),
            ("instances", str(self.instances)),
            *([("knobs", self.knobs)] if self.knobs else []),
            ("batch-size", str(self.batch_size)),
            ("instance", str(self.instance)),
        )
        return tuple(word for name, value in named for word in (f"--{name}", value))


def _number(value: float) -> str:
    """Write a number as short as it goes, and exactly."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def parse_assignment(arguments: Sequence[str]) -> Assignment:
    """Read a worker's arguments (without the interpreter and module in front).

    Raises:
        SystemExit: they are wrong; argparse has said so on stderr.
    """
    parser = argparse.ArgumentParser(prog=WORKER_MODULE, allow_abbrev=False)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--precision", required=True, choices=PRECISIONS)
    parser.add_argument("--artifact", required=True, type=Path)
    for name in ("batch-size", "threads", "seed", "instance", "instances"):
        parser.add_argument(f"--{name}", required=True, type=int)
    requests = parser.add_mutually_exclusive_group(required=True)
    requests.add_argument("--sequence-length", default=0, type=int)
    requests.add_argument("--requests", type=Path)
    parser.add_argument("--warmup-s", required=True, type=float)
    parser.add_argument("--knobs", default="")
    return Assignment(**vars(parser.parse_args(arguments)))
