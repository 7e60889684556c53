"""One instance: loads the engine, warms up, says what it got, and measures when told to.

Started as `PYTHON -P -m autotune.worker.worker ARGS`, by a trial's launcher or by an exported launch script;
driven over stdin and stdout (see `autotune.worker.messages`).
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from autotune.backends.loading import load_session
from autotune.backends.protocol import Session
from autotune.backends.registry import get_backend
from autotune.measurement.measurement import InstanceBlock
from autotune.model.exported import way_of
from autotune.placement.assignment import Assignment, parse_assignment
from autotune.spec.knobs import split_knobs
from autotune.worker.board import Board
from autotune.worker.failures import kind_of_exception, reason_of_exception
from autotune.worker.messages import (
    Failed,
    Message,
    Ready,
    Serve,
    Served,
    Window,
    format_message,
    parse_message,
)
from autotune.worker.observe import observe, process_age_s
from autotune.worker.requests import OneRequest, Requests
from autotune.worker.scenarios.registry import run_window
from autotune.worker.scenarios.server import serve_queue

if TYPE_CHECKING:
    from autotune.worker.streaming import TextEncoder


class Line:
    """The connection to the conductor."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @classmethod
    def take_over_stdio(cls) -> Line:
        """Keep stdin and stdout for messages, and send what anyone else prints to stderr."""
        incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 0)
        return cls(incoming, outgoing)

    def send(self, message: Message) -> None:
        """Write one message; a conductor that is gone is no reason to complain."""
        try:
            self._outgoing.write(format_message(message))
            self._outgoing.flush()
        except BrokenPipeError:
            raise SystemExit(0) from None

    def windows(self) -> Iterator[Window | Serve]:
        """The windows to measure, until `stop` or the end of the stream."""
        for line in self._incoming:
            message = parse_message(line)
            if not isinstance(message, Window | Serve):
                return
            yield message


def main() -> int:
    """Serve until told to stop; the exit status is 0 unless something failed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    line = Line.take_over_stdio()
    assignment = parse_assignment(sys.argv[1:])
    try:
        serve(assignment, line)
    except Exception as error:
        traceback.print_exc()
        line.send(Failed(kind_of_exception(error), reason_of_exception(error)))
        return 1
    return 0


def serve(assignment: Assignment, line: Line) -> None:
    """Load, warm up, report, and answer every window with a block."""
    backend = get_backend(assignment.backend)
    encoder = _encoder(assignment)
    session = load_session(
        backend,
        assignment.artifact,
        assignment.precision,
        assignment.threads,
        split_knobs(assignment.knobs),
    )
    load_s = process_age_s()
    requests = _requests(assignment, session, encoder)
    warm = requests.warm_up(assignment.warmup_s)
    requests.check()
    observation = observe(
        session.report(),
        load_s=load_s,
        warmup_s=warm.seconds,
        export=way_of(assignment.artifact),
        backend=backend,
    )
    line.send(Ready(observation, warm.request_s, requests.cycle))
    for window in line.windows():
        block = _measure(assignment, requests, window)
        requests.check()
        line.send(block)
    session.close()


def _measure(assignment: Assignment, requests: Requests, window: Window | Serve) -> InstanceBlock | Served:
    requests.begin()
    if isinstance(window, Serve):
        served = serve_queue(requests, window, assignment.batch_size)
        return replace(served, hits=requests.hits(len(served.ends_s)))
    board = Board(window.board, assignment.instance, assignment.instances) if window.board else nullcontext()
    with board as shared:
        starts_s, ends_s = run_window(requests, window, shared)
    count = len(ends_s)
    samples, hits = requests.samples(count), sum(requests.hits(count))
    return InstanceBlock(assignment.batch_size, starts_s, ends_s, samples=samples, hits=hits)


def _encoder(assignment: Assignment) -> TextEncoder | None:
    """What tokenises the texts of a stream, where that is this worker's part."""
    if assignment.requests is None:
        return None
    from autotune.model.stream import read_description
    from autotune.model.texts.texts import TOKENIZER_FILE
    from autotune.worker.streaming import TextEncoder

    described = read_description(assignment.requests)
    if not described.tokenizes:
        return None
    return TextEncoder(assignment.requests / TOKENIZER_FILE, described.longest)


def _requests(assignment: Assignment, session: Session, encoder: TextEncoder | None) -> Requests:
    if assignment.requests is None:
        return OneRequest(session, _inputs(assignment), assignment.batch_size)
    from autotune.model.stream import Stream
    from autotune.worker.streaming import StreamedRequests

    instance, instances = assignment.instance, assignment.instances
    stream = Stream(assignment.requests, part=instance)
    return StreamedRequests(session, stream, encoder, instance=instance, instances=instances)


def _inputs(assignment: Assignment) -> Mapping[str, Any]:
    """The model's inputs; none for an artifact that describes none."""
    if not (assignment.artifact / "inputs.json").exists():
        return {}
    from autotune.model.inputs import make_inputs

    return make_inputs(
        assignment.artifact, assignment.batch_size, assignment.sequence_length, assignment.seed
    )


if __name__ == "__main__":
    raise SystemExit(main())
