"""How fast the cpus compute, as a child of a trial measures it, and what of that is usual."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from autotune.placement.command import pinned_argv, worker_environment
from autotune.placement.placement import Command, ServerProgram
from autotune.trial.interrupts import interrupts_held

START_S = 10.0
"""Given to the child for its first answer, within which it loads NumPy beside engines that load as well."""

ANSWER_S = 1.0
"""Given to it for the others, which take some ten milliseconds."""

SINGLE_THREADED = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)
"""Each thread multiplies alone, whatever BLAS NumPy was built with."""

_READ_BYTES = 2**16
_MAX_ANSWER_BYTES = 2**20

SecondsByCpu = Mapping[int, float]
"""CPU time of the same work, by cpu."""


class SpeedProbe:
    """The connection to the child; when that fails in any way, it says nothing any more."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._patience_s = START_S
        self._works = True

    def measure(self, cpus: Sequence[int]) -> SecondsByCpu:
        """Have the work done on these cpus; blocks for it. Empty where it cannot be done."""
        if not self._works:
            return {}
        try:
            return self._ask(cpus)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._works = False
            return {}
        finally:
            self._patience_s = ANSWER_S

    def _ask(self, cpus: Sequence[int]) -> SecondsByCpu:
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise ValueError("no pipes")
        os.write(pipes[0].fileno(), json.dumps({"cpus": list(cpus)}).encode() + b"\n")
        answer = json.loads(_read_line(pipes[1].fileno(), self._patience_s))
        pairs = ((int(cpu), float(seconds)) for cpu, seconds in answer["seconds"].items())
        return {cpu: seconds for cpu, seconds in pairs if seconds > 0}


def _read_line(descriptor: int, timeout_s: float) -> bytes:
    """Read to the end of a line.

    Raises:
        ValueError: it did not come in time, or ends the stream, or is no answer.
    """
    line, give_up_s = b"", time.monotonic() + timeout_s
    while not line.endswith(b"\n"):
        left_s = give_up_s - time.monotonic()
        if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
            raise ValueError("no answer in time")
        data = os.read(descriptor, _READ_BYTES)
        line += data
        if not data or len(line) > _MAX_ANSWER_BYTES:
            raise ValueError("no answer")
    return line


@contextmanager
def speed_probe() -> Iterator[SpeedProbe | None]:
    """Start the child, without waiting for it; at the end it is gone. None where it cannot be started.

    It ends with this process, however that ends.
    """
    process = None
    try:
        with interrupts_held():
            process = _start()
        yield None if process is None else SpeedProbe(process)
    finally:
        with interrupts_held():
            if process is not None:
                _bury(process)


def _start() -> subprocess.Popen[bytes] | None:
    environment = worker_environment(os.environ, SINGLE_THREADED, pinned=True)
    program = (os.path.abspath(sys.executable), "-P", "-m", "autotune.worker.probe")  # noqa: PTH100
    with suppress(OSError):
        return subprocess.Popen(
            pinned_argv(Command(ServerProgram(program), environment, (), ())),
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
    return None


def _bury(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


class UsualSpeed:
    """Remembers what the same work has taken, to say what is usual: the median, which no record moves."""

    def __init__(self) -> None:
        self._seen: list[float] = []

    def learn(self, probe_s: float) -> None:
        """Take a block's probe into account."""
        self._seen.append(probe_s)

    def speed(self, probe_s: float) -> float:
        """How fast against what is usual, this probe included; 1 = as usual."""
        return statistics.median((*self._seen, probe_s)) / probe_s


def mean_seconds(probes: Sequence[SecondsByCpu], cpus: frozenset[int]) -> float | None:
    """The geometric mean over these cpus and all probes; None where none of them was measured."""
    logs = [math.log(value) for seconds in probes for cpu, value in seconds.items() if cpu in cpus]
    return math.exp(statistics.fmean(logs)) if logs else None
