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

STEPS = """
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

from autotune.cli.main import run
from autotune.events import TrialEnded
from autotune.jobs.tuning import tune
from autotune.testing.listener import Listener

def search(trials, study, group=""):
    if group:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    listener = Listener(stop_after=int(trials), of=TrialEnded)
    tuned = tune(study, emit=listener, stop=listener.stop)
    assert tuned.plan is not None, tuned.reason

def command(printed, *arguments):
    sys.argv = ["autotune", *arguments]
    with open(printed, "w") as file, redirect_stdout(file):
        sys.exit(run())

def ends_with(code, printed, *arguments):
    sys.argv = ["autotune", *arguments]
    with open(printed, "w") as file, redirect_stdout(file):
        ended = run()
    assert ended == int(code), f"it ended with {ended}"

def start(script):
    instances = json.loads(Path(script).with_name("plan.json").read_text())["instances"]
    subprocess.Popen(["bash", script], start_new_session=True)
    while len(list(Path().glob("pid.*"))) < len(instances):
        time.sleep(0.2)

for step in sys.argv[1:]:
    child = os.fork()
    if not child:
        name, *arguments = step.split()
        steps = {"search": search, "autotune": command, "ends-with": ends_with, "start": start}
        steps.get(name, lambda *words: subprocess.run([name, *words], check=True))(*arguments)
        sys.exit()
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{step} failed")
"""
"""`steps.py STEP...`, each in a process of its own, forked from one that has imported: that takes half a
minute here, and is done once. `search TRIALS STUDY [CGROUP]` makes so many trials, and no confirmation, which
would launch the same for minutes. `autotune FILE ARGUMENTS` runs the command, and writes what it prints;
`ends-with CODE FILE ARGUMENTS` the same, which ends with this code. `start SCRIPT` starts a launch, and
leaves it running once each of its servers has written a file `pid.INSTANCE`. Everything else is a program."""

BOOT_S = 120
"""A machine of one socket booted in 35 s while two dozen others computed on two cpus. What takes longer
hangs, and would keep other tests waiting for the five minutes that the emulator itself allows."""

GUEST_STOPPED = 125
"""The emulator's exit status; its documentation lists them."""

Emulate = Callable[[Path, tuple[str, ...], str], None]


@cache
def emulator_missing() -> str:
    """Why the emulator cannot be used; empty if it can."""
    if not EMULATOR.is_file():
        return f"no emulator at {EMULATOR}; AUTOTUNE_NUMA_VM names another"
    boot = subprocess.run(
        [EMULATOR, "--sockets=1", f"--timeout={BOOT_S}", "--", "true"],
        capture_output=True,
        text=True,
        check=False,
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
    """Runs a shell script in a folder on a machine of this shape; `$PYTHON steps.py` is there."""
    if reason := emulator_missing():
        pytest.skip(reason)

    def run(folder: Path, shape: tuple[str, ...], script: str) -> None:
        (folder / "steps.py").write_text(STEPS)
        ran = _boot(folder, shape, script)
        if ran.returncode == GUEST_STOPPED:  # qemu itself crashed; seen with two machines at once
            ran = _boot(folder, shape, script)
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"

    return run
