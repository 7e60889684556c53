"""`pin.py` becomes the program it pins: mask, memory policy and environment, read back from the kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autotune.placement import pin

PIN = [sys.executable, "-I", "-S", pin.__file__]
REPORT = """
import ctypes, json, os
mode, mask = ctypes.c_int(), (ctypes.c_ulong * 64)()
libc = ctypes.CDLL(None, use_errno=True)
code = libc.syscall(239, ctypes.byref(mode), mask, 64 * 64, 0, 0) and ctypes.get_errno()
print(json.dumps({
    "cpus": sorted(os.sched_getaffinity(0)), "mode": mode.value, "nodes": mask[0], "code": code,
    "environment": dict(os.environ),
}))
"""
"""239 is get_mempolicy on x86-64; mode 2 is MPOL_BIND."""

on_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="reads back by x86-64's system call")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PIN, *arguments], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@on_x86_64
def test_the_program_gets_mask_policy_and_exactly_the_environment() -> None:
    cpu = min(os.sched_getaffinity(0))
    environment = {"ONE": "1", "ODD": "a b'\"$"}
    done = run(
        *("--parent", str(os.getpid()), "--cpus", str(cpu), "--membind", "0"),
        *("--", sys.executable, "-I", "-c", REPORT),
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    seen["environment"].pop("LC_CTYPE", None)  # the reporting Python's own (PEP 538)
    assert seen["environment"] == environment
    assert seen["cpus"] == [cpu]
    bound = (seen["mode"], seen["nodes"]) == (2, 1)
    assert bound or "going on without" in done.stderr


def test_without_options_the_mask_is_left_alone() -> None:
    done = run("--", sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))")
    assert json.loads(done.stdout) == sorted(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--cpus", "60000", "--", "/bin/true"), pin.REFUSED_STATUS, "affinity to cpus [60000] refused"),
        (("--membind", "999", "--", "/bin/true"), pin.REFUSED_STATUS, "memory policy bind:999 refused"),
        (("--parent", "1999999999", "--", "/bin/true"), pin.ORPHANED_STATUS, "parent 1999999999 has ended"),
        (("--cpus", "x", "--", "/bin/true"), pin.USAGE_STATUS, "--cpus 'x' is not a list"),
        (("--cpus", "0"), pin.USAGE_STATUS, "no program"),
        (("--wrong", "0", "--", "/bin/true"), pin.USAGE_STATUS, "wrong options"),
        (("--", "/nowhere/at/all"), pin.NOT_EXECUTED_STATUS, "/nowhere/at/all: No such file"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status_of_its_own(
    arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = run(*arguments)
    assert done.returncode == status
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_program_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    starter = (
        "import os, subprocess, sys, time\n"
        f"pinned = [*{PIN!r}, '--parent', str(os.getpid()), '--', sys.executable, '-c', {program!r}]\n"
        "subprocess.Popen(pinned)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter])
    give_up_s = time.monotonic() + 20
    while not (note.exists() and note.read_text()) and time.monotonic() < give_up_s:
        time.sleep(0.02)
    child = int(note.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while is_alive(child) and time.monotonic() < give_up_s:
        time.sleep(0.02)
    assert not is_alive(child)


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def test_the_environment_is_passed_on_in_the_c_locale_too_which_python_would_change() -> None:
    done = run("--", "/usr/bin/env", env={"LANG": "C", "EMPTY": ""})
    assert sorted(done.stdout.splitlines()) == ["EMPTY=", "LANG=C"]


FORBIDDING = """
import ctypes, os, struct, sys
def step(code, yes, no, value):
    return struct.pack("HBBI", code, yes, no, value)
load, equal, answer = 0x20, 0x15, 0x06
steps = [step(load, 0, 0, 0), step(equal, 0, 1, 238),
         step(answer, 0, 0, 0x50001), step(answer, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b"".join(steps))
filter = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filter, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes another program, for which seccomp makes system call 238 (set_mempolicy on x86-64) fail: EPERM."""


@on_x86_64
def test_where_memory_policies_are_forbidden_the_program_starts_without_and_that_is_said() -> None:
    program = [sys.executable, "-I", "-c", REPORT]
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDING, *PIN, "--membind", "0", "--", *program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "pin: memory policy bind:0 refused: Operation not permitted; going on without\n"
    assert json.loads(done.stdout)["mode"] == 0
