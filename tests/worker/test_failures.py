from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import PlacementError, UnsupportedError
from autotune.measurement.measurement import FailureKind
from autotune.worker.failures import kind_of_exception, readable, reason_of_exception, sort_exit


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("std::bad_alloc"), "out_of_memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
            "out_of_memory",
        ),
        (RuntimeError("Failed to allocate memory for requested buffer of size 99"), "out_of_memory"),
        (OSError(12, "Cannot allocate memory"), "out_of_memory"),
        (UnsupportedError("no bf16 here"), "unsupported"),
        (PlacementError("the kernel refused"), "placement"),
        (ImportError("No module named 'engine'"), "crash"),
        (ZeroDivisionError(), "crash"),
    ],
)
def test_what_a_worker_catches_has_a_kind(error: Exception, kind: str) -> None:
    assert kind_of_exception(error) == kind


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnsupportedError("no bf16 here"), "no bf16 here"),
        (ValueError("wrong"), "ValueError: wrong"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_the_reason_is_in_the_engines_own_words(error: Exception, reason: str) -> None:
    assert reason_of_exception(error) == reason


def test_a_reason_is_bounded() -> None:
    assert len(reason_of_exception(ValueError("x" * 1_000_000))) == 2_000


@pytest.mark.parametrize(
    ("returncode", "stderr", "oom_killed", "kind", "words"),
    [
        (0, "", False, FailureKind.CRASH, "exit status 0"),
        (-9, "", True, FailureKind.OUT_OF_MEMORY, "memory limit"),
        (-9, "", False, FailureKind.CRASH, "SIGKILL without a result"),
        (-9, "", None, FailureKind.CRASH, "whether for want of memory, the kernel does not tell here"),
        (-9, "std::bad_alloc", None, FailureKind.OUT_OF_MEMORY, "after an allocation failed"),
        (-11, "", True, FailureKind.CRASH, "SIGSEGV"),
        (-6, "terminate called after throwing 'std::bad_alloc'", False, FailureKind.OUT_OF_MEMORY, "SIGABRT"),
        (0, "MemoryError ignored", False, FailureKind.CRASH, "exit status 0"),
        (96, "pin: affinity to cpus [9] refused", False, FailureKind.PLACEMENT, "cpus [9] refused"),
        (96, "an engine's own status", False, FailureKind.CRASH, "exit status 96"),
        (
            127,
            "pin: /python: No such file",
            False,
            FailureKind.CRASH,
            "result: /python: No such",
        ),
        (-64, "", False, FailureKind.CRASH, "SIGRTMAX"),
        (-50, "", False, FailureKind.CRASH, "signal 50"),
        (None, "", False, FailureKind.CRASH, "lives on"),
    ],
)
def test_an_end_without_a_word_has_a_kind(
    returncode: int | None, stderr: str, oom_killed: bool | None, kind: FailureKind, words: str
) -> None:
    found, reason = sort_exit(returncode, stderr, oom_killed=oom_killed)
    assert found is kind
    assert words in reason


def test_a_worker_that_was_bound_to_memory_nodes_may_have_used_them_up() -> None:
    kind, reason = sort_exit(-9, "", oom_killed=True, memory_nodes=(0, 1))
    assert kind is FailureKind.OUT_OF_MEMORY
    assert "memory nodes 0-1, to which it was bound" in reason


def test_terminal_escapes_and_control_characters_are_dropped() -> None:
    assert readable("\x1b[1;31mred\x1b[0m\x07 a\tb\r\nnext\x00\u202eline é") == "red a b\nnextline é"


@given(st.text())
def test_readable_text_is_printable_line_by_line(text: str) -> None:
    assert all(line.isprintable() for line in readable(text).split("\n"))
