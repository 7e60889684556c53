from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.measurement.measurement import FailureKind, InstanceBlock, ThreadMask
from autotune.testing.observations import build_observation
from autotune.worker.messages import (
    Failed,
    Finish,
    LineBuffer,
    Message,
    ProtocolError,
    Ready,
    Send,
    Sent,
    Serve,
    Served,
    Window,
    format_message,
    parse_message,
)

OBSERVATION = build_observation(
    pid=12,
    cpus=(0, 1),
    threads=(ThreadMask("python", (0, 1)), ThreadMask("pool", (1,))),
    memory_policy="bind",
    memory_nodes=(0,),
    load_s=0.5,
    warmup_s=0.25,
)

MESSAGES: list[Message] = [
    Ready(OBSERVATION, 0.01),
    Window("single_stream", 1.5, 2.5, 100.0, "/proc/1/fd/3"),
    InstanceBlock(8, (1.0, 2.0), (1.5, 2.5)),
    Failed(FailureKind.UNSUPPORTED, 'no "operator"\nof that name \x00'),
    Finish(),
    Serve("/proc/1/fd/4", 7.5),
    Served(8, (0, 3), (1.0, 2.0), (1.5, 2.5)),
    Served(8, (), (), ()),
    Send("/proc/1/fd/5", (1.0, 1.0, 2.5), 2),
    Sent((1.0, 1.1), realtime=True),
    Ready(OBSERVATION, 0.01, cycle=64),
    InstanceBlock(8, (1.0, 2.0), (1.5, 2.5), samples=(8, 3), hits=11),
    Served(8, (0, 3), (1.0, 2.0), (1.5, 2.5), hits=(8, 0)),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_survives_its_line(message: Message) -> None:
    line = format_message(message)
    assert line.count(b"\n") == 1
    assert parse_message(line) == message


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=100))
def test_times_lose_nothing(times: list[float]) -> None:
    block = InstanceBlock(1, tuple(times), tuple(times))
    assert parse_message(format_message(block)) == block


def changed(message: Message, **fields: object) -> bytes:
    return json.dumps({**json.loads(format_message(message)), **fields}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"message": []}',
        b'{"message": "other"}',
        b'{"message": "ready"}',
        changed(MESSAGES[0], request_s="fast"),
        changed(MESSAGES[0], observation={"pid": 1}),
        changed(MESSAGES[1], scenario="burst"),
        changed(MESSAGES[1], start_s=True),
        changed(MESSAGES[2], starts_s=[], ends_s=[]),
        changed(MESSAGES[2], ends_s=[1.5]),
        changed(MESSAGES[2], ends_s=[0.5, 2.5]),
        changed(MESSAGES[2], ends_s=[1.5, float("nan")]),
        changed(MESSAGES[2], ends_s=7),
        changed(MESSAGES[3], failure="bad luck"),
        changed(MESSAGES[5], end_s=None),
        changed(MESSAGES[6], requests=[0]),
        changed(MESSAGES[6], requests=[0, -1]),
        changed(MESSAGES[6], requests=[0, 1.5]),
        changed(MESSAGES[6], ends_s=[0.5, 2.5]),
        changed(MESSAGES[8], times_s=[float("inf")]),
        changed(MESSAGES[8], instances=True),
        changed(MESSAGES[9], sent_s="never"),
        changed(MESSAGES[10], cycle=-1),
        changed(MESSAGES[11], samples=[8]),
        changed(MESSAGES[11], hits=12),
        changed(MESSAGES[12], hits=[1]),
        changed(MESSAGES[12], hits=[9, 0]),
    ],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="is not a message"):
        parse_message(line)


@given(st.binary())
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_message(noise)


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), st.integers(1, 7))
def test_lines_are_the_same_however_they_arrive(lines: list[bytes], size: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    buffer = LineBuffer()
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [line for piece in pieces for line in buffer.feed(piece)] == lines


def test_a_line_that_never_ends_is_refused() -> None:
    buffer = LineBuffer(max_line_bytes=100)
    assert buffer.feed(b"x" * 100) == []
    with pytest.raises(ProtocolError, match="more than 100 bytes"):
        buffer.feed(b"x")


def test_a_worker_loads_neither_pydantic_nor_numpy_before_its_engine() -> None:
    program = "import sys, autotune.worker.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert not {"pydantic", "numpy", "torch", "onnxruntime", "sqlalchemy"} & set(loaded.stdout.split())
