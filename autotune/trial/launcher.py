"""Starts the workers of a trial, keeps what they print to stderr, and leaves none of them behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, cast

from autotune.backends.openmp.runtime import registration_file
from autotune.measurement.measurement import FailureKind
from autotune.placement.command import pinned_argv
from autotune.placement.placement import Command
from autotune.trial.conductor import Channel
from autotune.trial.interrupts import interrupts_held
from autotune.worker.failures import InstanceError, readable

MAX_STDERR_BYTES = 64 * 2**20
"""A worker that writes more than this to stderr fails: it would fill a log in production too."""

TAIL_BYTES = 8_192
"""How much of the end of stderr is kept."""

GRACE_S = 1.0
"""From SIGTERM to SIGKILL."""

_READ_BYTES = 2**16
_LOOK_S = 0.01
"""Between two looks at whether the workers have ended, when nothing is being measured any more."""


class StderrTail:
    """Keeps the end of a worker's stderr."""

    def __init__(self, instance: int, descriptor: int) -> None:
        self._instance = instance
        self._descriptor = descriptor
        self._tail = b""
        self._total = 0
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        """What to wait on."""
        return self._descriptor

    def drain(self) -> bool:
        """Read one piece; False at the end of the stream.

        Raises:
            InstanceError: the worker has written more than it may.
        """
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        self._total += len(data)
        if self._total > MAX_STDERR_BYTES:
            reason = f"wrote more than {MAX_STDERR_BYTES // 2**20} MiB to stderr"
            raise InstanceError(FailureKind.CRASH, reason, instance=self._instance)
        return bool(data)

    def text(self) -> str:
        """What was kept, readable; reads first what is still in the pipe, which holds little."""
        with suppress(BlockingIOError, InstanceError):
            while data := os.read(self._descriptor, _READ_BYTES):
                self._tail = (self._tail + data)[-TAIL_BYTES:]
        return readable(self._tail.decode(errors="replace")).strip()


class Worker:
    """One started worker.

    Attributes:
        pid: its process id, which it keeps when `pin.py` becomes the worker.
        channel: its messages.
        stderr: what it prints.
    """

    def __init__(self, instance: int, command: Command) -> None:
        self._process = subprocess.Popen(
            pinned_argv(command),
            env=dict(command.environment),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.pid = self._process.pid
        stdin, stdout, stderr = self._pipes = _pipes(self._process)
        self.channel = Channel(instance, stdout.fileno(), stdin.fileno())
        self.stderr = StderrTail(instance, stderr.fileno())

    def exit_status(self, timeout_s: float) -> int | None:
        """Wait for its end and give its status, -N for signal N; None where it has not ended in time."""
        give_up_s = time.monotonic() + timeout_s
        while not self.has_ended() and time.monotonic() < give_up_s:
            time.sleep(_LOOK_S)
        end = self._end()
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status

    def signal_group(self, number: signal.Signals) -> None:
        """Signal it and its children, which share its session."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._end() is not None

    def mask(self) -> frozenset[int]:
        """The cpus that it may run on, or might when it ended; none where the kernel does not tell."""
        try:
            return frozenset(os.sched_getaffinity(self.pid))
        except OSError:
            return frozenset()

    def _end(self) -> os.waitid_result | None:
        """How it ended, if it has; it is not reaped yet, so that its number stays its own."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)

    def bury(self) -> None:
        """Kill what is left of it, remove what it has left, reap it and close its pipes."""
        self.signal_group(signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        registration_file(self.pid).unlink(missing_ok=True)
        self._process.wait()
        for pipe in self._pipes:
            pipe.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """The pipes that were asked for, for the type checker's sake."""
    pipes = process.stdin, process.stdout, process.stderr
    return cast(tuple[IO[bytes], IO[bytes], IO[bytes]], pipes)


@contextmanager
def launched(commands: Sequence[Command]) -> Iterator[list[Worker]]:
    """Start every command; at the end, however it comes, no process of them is left.

    Raises:
        InstanceError: one could not be started.
    """
    workers: list[Worker] = []
    try:
        with interrupts_held():
            for instance, command in enumerate(commands):
                workers.append(_start(instance, command))
        yield workers
    finally:
        with interrupts_held():
            _end_all(workers)


def _start(instance: int, command: Command) -> Worker:
    try:
        return Worker(instance, command)
    except OSError as error:
        kind = FailureKind.OUT_OF_MEMORY if error.errno == errno.ENOMEM else FailureKind.CRASH
        raise InstanceError(kind, f"could not be started: {error}", instance=instance) from error


def _end_all(workers: Sequence[Worker]) -> None:
    """SIGTERM, a second's grace, SIGKILL."""
    for worker in workers:
        worker.signal_group(signal.SIGTERM)
    give_up_s = time.monotonic() + GRACE_S
    while not all(worker.has_ended() for worker in workers) and time.monotonic() < give_up_s:
        time.sleep(_LOOK_S)
    for worker in workers:
        worker.bury()
