"""Starts a program of one's own as an instance of a plan: pinned, and in the environment that was measured.

    python -m autotune.runtime.start PLAN INSTANCE COMMAND...

PLAN is a plan's document, or a folder with `plan.json`, such as a bundle. What can be known to differ before
the program runs is refused here, in one line, with exit status 16.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import autotune.placement.pin
from autotune.backends.registry import get_backend
from autotune.errors import AutotuneError, PlacementError, ServingError
from autotune.machine.cpus import format_cpu_list
from autotune.placement.variables import server_variables, unset_for_server
from autotune.runtime.bundled import bundle_differences
from autotune.runtime.differences import artifact_differences, package_differences, settle
from autotune.runtime.planned import PlannedInstance, read_planned
from autotune.spec.launched import INSTANCE_VARIABLE, PLAN_VARIABLE

REFUSED_STATUS = 16
"""As `autotune` itself ends where a process cannot serve as its plan was measured."""
USAGE = "python -m autotune.runtime.start PLAN INSTANCE COMMAND..."


def main(arguments: Sequence[str]) -> int:
    """Become the program; comes back only with the status of a refusal, or from telling its usage."""
    if list(arguments) in (["--help"], ["-h"]):
        sys.stdout.write(f"{(__doc__ or '').strip()}\n")
        return 0
    try:
        argv, environment = prepare(arguments)
        os.execve(argv[0], argv, environment)
    except AutotuneError as error:
        sys.stderr.write(f"autotune: {error}\n")
    except OSError as error:
        sys.stderr.write(f"autotune: {arguments[2:3]} cannot be started: {error.strerror}\n")
    return REFUSED_STATUS


def prepare(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Check what can be known already; give what is executed, and its whole environment.

    Raises:
        ServingError: the arguments are wrong, there is no such program, or something differs from the plan.
        PlanError: there is no such plan or instance.
    """
    if len(arguments) < 3 or not (arguments[1].isascii() and arguments[1].isdigit()):
        raise ServingError(f"wrong arguments: {' '.join(arguments)!r:.80}", remedy=USAGE)
    plan, index, program = Path(arguments[0]), int(arguments[1]), arguments[2]
    planned = read_planned(plan, index, is_launched=True)
    found = shutil.which(program)
    if found is None:
        raise ServingError(f"there is no program {program!r}", remedy="install it, or name its path")
    missing = _cpus_missing(planned)
    if missing:
        raise PlacementError(
            f"cpus {format_cpu_list(missing)} of the plan may not be used here",
            remedy="serve it on a machine of the same kind, or run: autotune tune, on this one",
        )
    before = (
        bundle_differences(planned),
        artifact_differences(planned),
        package_differences(planned, get_backend(planned.backend)),
    )
    settle(planned, chain.from_iterable(before), None)
    return pinned_words(planned, [found, *arguments[3:]]), environment_of(planned, os.environ)


def _cpus_missing(planned: PlannedInstance) -> set[int]:
    """Take the plan's cpus, and give those that the kernel does not permit, whatever the caller's mask is."""
    wanted = set(planned.cpus)
    if not wanted:
        return set()
    try:
        os.sched_setaffinity(0, wanted)
    except OSError:
        return wanted - os.sched_getaffinity(0)
    return wanted - os.sched_getaffinity(0)


def environment_of(planned: PlannedInstance, caller: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of the program: the caller's, less what moves threads, and over it the plan's."""
    own = server_variables(planned.threads, planned.environment)
    gone = unset_for_server(own)
    kept = {name: value for name, value in caller.items() if name not in gone}
    return {**kept, **own, PLAN_VARIABLE: str(planned.file), INSTANCE_VARIABLE: str(planned.index)}


def pinned_words(planned: PlannedInstance, command: Sequence[str]) -> list[str]:
    """Give the command line that pins itself, and becomes the command."""
    options: list[str] = []
    if planned.cpus:
        options += ["--cpus", format_cpu_list(planned.cpus)]
    if planned.memory_nodes:
        options += ["--membind", format_cpu_list(planned.memory_nodes)]
    return [sys.executable, "-I", "-S", autotune.placement.pin.__file__, *options, "--", *command]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
