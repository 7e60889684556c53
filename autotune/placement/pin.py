"""Pins the process that it becomes.

    python -I -S pin.py [--parent PID] [--cpus LIST] [--membind LIST] -- ARGV...

Sets the affinity mask and binds the memory policy by syscall, has the kernel kill it when its parent dies,
and executes ARGV in its place. The environment and open descriptors pass through unchanged; all three
settings survive the execution. A program of the standard library alone, so that it starts in
milliseconds.

Where the kernel does not permit memory policies (a seccomp profile, no NUMA support), that is said on
stderr and ARGV starts without one: it then finds the policy `default`. What else goes wrong ends the process
with one line on stderr and one of the exit statuses below.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

REFUSED_STATUS = 96
"""The kernel refused the affinity mask, or the memory nodes do not exist or may not be used."""
ORPHANED_STATUS = 97
"""The parent was gone before ARGV could start."""
USAGE_STATUS = 98
"""The arguments are wrong."""
NOT_EXECUTED_STATUS = 127
"""ARGV could not be executed, as a shell says it."""

SET_MEMPOLICY = {
    "x86_64": 238,
    "aarch64": 237,
    "riscv64": 237,
    "loongarch64": 237,
    "ppc64": 261,
    "ppc64le": 261,
    "s390x": 270,
}
"""Numbers of the system call by `uname -m`. Source: Linux, arch/*/kernel/syscalls/*.tbl and
include/uapi/asm-generic/unistd.h."""

_MPOL_BIND = 2  # Source: include/uapi/linux/mempolicy.h
_PR_SET_PDEATHSIG = 1  # Source: include/uapi/linux/prctl.h
_SIGKILL = 9
_NOT_PERMITTED = (errno.EPERM, errno.EACCES, errno.ENOSYS)


class PinError(Exception):
    """Why ARGV is not started, and the exit status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def main(arguments: Sequence[str]) -> int:
    """Become the pinned program; comes back only with the status of a failure."""
    try:
        options, argv = parse(arguments)
        if "--parent" in options:
            die_with(options["--parent"])
        if "--cpus" in options:
            set_affinity(numbers("--cpus", options["--cpus"]))
        if "--membind" in options:
            bind_memory(numbers("--membind", options["--membind"]))
        execute(argv)
    except PinError as error:
        say(str(error))
        return error.status
    return 0


def parse(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split into options and ARGV."""
    if "--" not in arguments or arguments[-1] == "--":
        raise PinError(USAGE_STATUS, "no program: write -- ARGV... at the end")
    end = list(arguments).index("--")
    names, values = arguments[:end:2], arguments[1:end:2]
    if len(names) != len(values) or not set(names) <= {"--parent", "--cpus", "--membind"}:
        raise PinError(USAGE_STATUS, f"wrong options: {' '.join(arguments[:end])}")
    return dict(zip(names, values, strict=True)), list(arguments[end + 1 :])


def numbers(option: str, text: str) -> set[int]:
    """Read a list as the kernel writes it: `0-3,8`."""
    found: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    except ValueError:
        raise PinError(USAGE_STATUS, f"{option} {text!r} is not a list such as 0-3,8") from None
    return found


def die_with(parent: str) -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):
        raise PinError(ORPHANED_STATUS, f"parent {parent} has ended")


def set_affinity(cpus: set[int]) -> None:
    """Run on exactly these cpus."""
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError, OverflowError) as error:
        raise PinError(REFUSED_STATUS, f"affinity to cpus {sorted(cpus)} refused: {error}") from None
    got = os.sched_getaffinity(0)
    if got != cpus:  # the kernel silently leaves out what the cpuset does not have
        lacking = sorted(cpus - got)
        raise PinError(REFUSED_STATUS, f"affinity to cpus {sorted(cpus)} refused: {lacking} may not be used")


def bind_memory(nodes: set[int]) -> None:
    """Allocate on these nodes only, where the kernel permits it."""
    code = _set_mempolicy(nodes)
    if not code:
        return
    reason = f"memory policy bind:{','.join(map(str, sorted(nodes)))} refused: {os.strerror(code)}"
    if code not in _NOT_PERMITTED:
        raise PinError(REFUSED_STATUS, reason)
    say(f"{reason}; going on without")


def _set_mempolicy(nodes: set[int]) -> int:
    """The error number of the system call; 0 when it was done."""
    import ctypes

    number = SET_MEMPOLICY.get(os.uname().machine)
    word = 8 * ctypes.sizeof(ctypes.c_ulong)
    if number is None or word != 64:  # a 32-bit program has other numbers for its system calls
        return errno.ENOSYS
    mask = (ctypes.c_ulong * (max(nodes) // word + 1))()
    for node in nodes:
        mask[node // word] |= 1 << node % word
    # The kernel reads one bit less than it is told.
    size = ctypes.c_ulong(len(mask) * word + 1)
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.syscall(ctypes.c_long(number), ctypes.c_int(_MPOL_BIND), mask, size)
    return ctypes.get_errno() if done else 0


def execute(argv: list[str]) -> None:
    """Become the program, with the environment that this process was started with.

    Python may have added LC_CTYPE to its own (PEP 538); the kernel still has it as it was.
    """
    with open("/proc/self/environ", "rb") as environ:  # noqa: PTH123 - pathlib is slow to import
        entries = [entry.partition(b"=") for entry in environ.read().split(b"\0") if b"=" in entry]
    try:
        os.execve(argv[0], argv, {name: value for name, _, value in entries})
    except OSError as error:
        raise PinError(NOT_EXECUTED_STATUS, f"{argv[0]}: {error.strerror}") from None


def say(line: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"pin: {line}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
