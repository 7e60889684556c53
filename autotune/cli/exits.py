"""The one map from errors to exit codes."""

from __future__ import annotations

from autotune import errors

BUG = 70
"""An unexpected exception: a bug in autotune. Source: EX_SOFTWARE of sysexits.h."""
INTERRUPTED = 130
"""Stopped by SIGINT or SIGTERM; what was found is kept. Source: 128 + SIGINT, as shells report it."""

WORSE, STALE, UNDECIDED, DIFFERS = 20, 21, 22, 23
"""What `verify` and `compare` found is no error, and is told by a code of its own."""

EXIT_CODES: dict[type[errors.AutotuneError], int] = {
    errors.AutotuneError: 1,
    errors.MachineError: 3,
    errors.StudyFileError: 4,
    errors.ChangedFileError: 4,
    errors.ModelError: 5,
    errors.PreparationError: 6,
    errors.CacheError: 6,
    errors.MemoryShortageError: 6,
    errors.BackendError: 7,
    errors.UnsupportedError: 7,
    errors.PlacementError: 8,
    errors.StudyError: 9,
    errors.HostLostError: 9,
    errors.ResumeError: 10,
    errors.ChangedMachineError: 10,
    errors.NoPlanError: 11,
    errors.NoisyMachineError: 15,
    errors.StoreError: 12,
    errors.NotStoredError: 12,
    errors.PlanError: 13,
    errors.ExportError: 14,
    errors.ServingError: 16,
    errors.DifferenceError: 16,
    errors.FleetError: 17,
    errors.ServiceError: 18,
    errors.AccessError: 18,
    errors.RequestError: 18,
    errors.BusyError: 18,
    errors.JobError: 19,
    errors.JobNotFoundError: 19,
    errors.JobConflictError: 19,
}

MEANINGS: dict[int, str] = {
    0: "done",
    1: "any other error",
    2: "wrong command line",
    3: "the machine cannot be read",
    4: "the study file, or a table of prices, is wrong",
    5: "the model cannot be found or loaded, or does not run at fp32",
    6: "the model cannot be prepared, or the cache is unusable",
    7: "the engine is unknown, not installed, or cannot do what is asked",
    8: "no legal placement",
    9: "the study cannot go on",
    10: "the stored study was made on another machine, model, library version or study file; or the machine "
    "or a version changed while it was measured",
    11: "no trial succeeded, or none meets the limits",
    12: "the study store cannot be used, or lacks what is asked for",
    13: "the plan document is wrong",
    14: "the plan cannot be exported",
    15: "the machine was too noisy to measure what a plan needs, or the rounds contradict the search",
    16: "a process cannot serve as its plan was measured",
    17: "fleet, choose: no plan serves what is asked, or plans cannot be chosen among",
    18: "the service cannot be started or reached, or refuses",
    19: "there is no such job, or it is in another state",
    WORSE: "verify: the plan is worse than it states, or the running server falls short under a load",
    STALE: "verify, curve: machine, versions or model are others than the plan's; nothing was measured",
    UNDECIDED: "verify, compare, curve: it could not be told",
    DIFFERS: "verify --launched: what runs is not as the plan says",
    BUG: "a bug in autotune",
    INTERRUPTED: "interrupted; every finished trial is kept",
}
"""What each exit code means, as `autotune --help` prints it."""


def exit_code(error: errors.AutotuneError) -> int:
    """The exit code of an error: its own class's, else that of its nearest listed base."""
    return next(EXIT_CODES[cls] for cls in type(error).__mro__ if cls in EXIT_CODES)


def help_epilog() -> str:
    """The exit codes as a paragraph for `--help`."""
    return "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items()) + "."
