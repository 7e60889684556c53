"""Runs scripts inside emulated machines, which are optional.

`AUTOTUNE_NUMA_VM` names the emulator, else it is looked for beside the checkout. It shows whether placements
are right, never whether they pay: nothing is timed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
EMULATOR = Path(os.environ.get("AUTOTUNE_NUMA_VM", REPOSITORY.parent / "shared" / "numa-vm" / "numa-vm"))

SEARCH = """
import os
import sys
from pathlib import Path

import autotune
from autotune.report.progress import Observer
from autotune.tuning import TuningInterrupted

class SearchOnly(Observer):
    trials = 0

    def trial_ended(self, record, progress):
        self.trials += 1

    def wants_to_stop(self):
        return self.trials == int(sys.argv[1])

def search(study, group):
    if group:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    try:
        autotune.tune(study, observer=SearchOnly())
    except TuningInterrupted as interrupted:
        assert interrupted.plan is not None, interrupted.reason

for argument in sys.argv[2:]:
    child = os.fork()
    if not child:
        study, _, group = argument.partition("@")
        search(study, group)
        sys.exit()
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{argument} failed")
"""
"""`search.py TRIALS STUDY[@CGROUP]...`: so many trials of each, one study after the other, and no
confirmation, which would launch the same for minutes. Importing takes half a minute and is done once."""

GUEST_STOPPED = 125
"""The emulator's exit status; its documentation lists them."""

Emulate = Callable[[Path, tuple[str, ...], str], None]


@cache
def emulator_missing() -> str:
    """Why the emulator cannot be used; empty if it can."""
    if not EMULATOR.is_file():
        return f"no emulator at {EMULATOR}; AUTOTUNE_NUMA_VM names another"
    boot = subprocess.run(
        [EMULATOR, "--sockets=1", "--", "true"], capture_output=True, text=True, check=False
    )
    return f"the emulator does not start: {boot.stderr.strip()}" if boot.returncode else ""


def _boot(folder: Path, shape: tuple[str, ...], script: str) -> subprocess.CompletedProcess[str]:
    """Run the script in the folder, on a machine that starts for it."""
    return subprocess.run(
        [
            *("nice", "-n", "5"),  # its many cpus would starve what is measured beside it
            EMULATOR,
            *shape,
            "--timeout=1800",
            f"--writable={folder}",
            f"--cwd={folder}",
            "--",
            "sh",
            "-c",
            script,
        ],
        env={**os.environ, "PYTHON": sys.executable, "AUTOTUNE_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def emulate() -> Emulate:
    """Runs a shell script in a folder on a machine of this shape; `$PYTHON search.py` is there."""
    if reason := emulator_missing():
        pytest.skip(reason)

    def run(folder: Path, shape: tuple[str, ...], script: str) -> None:
        (folder / "search.py").write_text(SEARCH)
        ran = _boot(folder, shape, script)
        if ran.returncode == GUEST_STOPPED:  # qemu itself crashed; seen with two machines at once
            ran = _boot(folder, shape, script)
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"

    return run
