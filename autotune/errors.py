"""Every error that autotune raises on purpose.

```
AutotuneError                what happened, the offending value, what to do next
├── MachineError             the machine cannot be read, or offers nothing to run on
├── StudyFileError           a study file is wrong; knows the path of the value in the file
│   └── ChangedFileError     a file that it names is another one than when it was checked
├── ModelError               a model source cannot be resolved, downloaded or loaded
├── PreparationError         an artifact cannot be made (export, quantisation)
│   ├── CacheError           the cache cannot be written
│   └── MemoryShortageError  there is not enough memory to make it
├── BackendError             an engine is unknown or not installed
│   └── UnsupportedError     the engine cannot do what is asked here (precision, architecture)
├── PlacementError           no legal placement, or the kernel refused one
├── StudyError               a study cannot go on
│   ├── ResumeError          the stored study was made on another machine, model or library version
│   ├── ChangedMachineError  what a study may use, or a version, changed while it ran
│   ├── HostLostError        a host is gone while it ran an order, and no other is left
│   ├── NoPlanError          no trial succeeded, or none meets the limits
│   └── NoisyMachineError    the machine was too noisy to measure what a plan needs
├── StoreError               the database is corrupt, foreign, read-only, newer, or lacks what is asked for
│   └── NotStoredError       it holds no study or plan of that name
├── JobError                 a job that was asked for cannot be found, begun or changed
│   ├── JobNotFoundError     there is no such job
│   └── JobConflictError     it is in another state, or another's
├── PlanError                a plan document is wrong or of an unknown version
├── ServiceError             the HTTP service cannot be started or reached, or refuses
│   ├── AccessError          nobody may do that without a token, or with this one
│   ├── RequestError         a value of a request is wrong; knows its path in the body
│   └── BusyError            it can be asked for again later: too many ask, or the machine measures
├── ServingError             a process cannot serve as its plan was measured
│   └── DifferenceError      the process, its machine, packages or artifact are others than the plan's
├── FleetError               no plan serves what a fleet is asked for
└── ExportError              a target is unknown, or its files cannot be written
```

The map to exit codes stands in `autotune.cli.exits`. A failed *configuration* is not an error but an
answer: see `autotune.measurement.measurement.Failure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AutotuneError(Exception):
    """Root of the tree: one sentence of what happened, and one of what to do next.

    Attributes:
        problem: what happened, with the offending value in it.
        remedy: what the user can do next; empty when there is nothing to do.
    """

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem

    @property
    def in_one_line(self) -> str:
        """Both sentences as one, for where an error is the reason of a failed trial."""
        return f"{self.problem} ({self.remedy})" if self.remedy else self.problem


class MachineError(AutotuneError):
    """The machine cannot be read, or offers nothing to run on."""


@dataclass(frozen=True)
class FileFault:
    """One fault of a study file.

    Attributes:
        path: where in the file, as in `search.instances[2]`; empty for the whole file.
        line: counted from 1; 0 where that is not known.
        fault: what is wrong, with the value in it.
    """

    path: str
    line: int
    fault: str


class StudyFileError(AutotuneError):
    """A study file is wrong.

    Attributes:
        path: where in the file, as in `search.instances[2]`; empty for the whole file, and of several faults.
        faults: each by itself, in the order of the file; all that `problem` says.
    """

    def __init__(
        self, problem: str, *, path: str = "", remedy: str = "", faults: Sequence[FileFault] = ()
    ) -> None:
        super().__init__(f"{path}: {problem}" if path else problem, remedy=remedy)
        self.path = path
        self.faults = tuple(faults) or (FileFault(path, 0, problem),)


class ChangedFileError(StudyFileError):
    """A file that the study names is another one than when it was checked: says nothing of any model."""


class ModelError(AutotuneError):
    """A model source cannot be resolved, downloaded or loaded."""


class PreparationError(AutotuneError):
    """An artifact cannot be made (export, quantisation)."""


class CacheError(PreparationError):
    """The cache cannot be written: says nothing of any configuration."""


class MemoryShortageError(PreparationError):
    """There is not enough memory to make an artifact here: says nothing of the engine."""


class BackendError(AutotuneError):
    """An engine is unknown or not installed."""


class UnsupportedError(BackendError):
    """The engine cannot do what is asked here: this precision, this architecture, this ISA."""


class PlacementError(AutotuneError):
    """There is no legal placement, or the kernel refused one."""


class StudyError(AutotuneError):
    """A study cannot go on."""


class ResumeError(StudyError):
    """The stored study was made on another machine, model or library version."""


class ChangedMachineError(StudyError):
    """What a study may use of the machine, or what is installed, changed while it ran."""


class HostLostError(StudyError):
    """A host is gone, and nothing is known of the order that it ran."""


class NoPlanError(StudyError):
    """No trial succeeded, or none meets the limits."""


class NoisyMachineError(StudyError):
    """The machine was too noisy to measure what a plan needs, or the rounds contradict the search."""


class StoreError(AutotuneError):
    """The database is corrupt, foreign, read-only, newer, or lacks what is asked for."""


class NotStoredError(StoreError):
    """The store holds no study or plan of that name."""


class JobError(AutotuneError):
    """A job that was asked for cannot be found, begun or changed."""


class JobNotFoundError(JobError):
    """There is no such job."""


class JobConflictError(JobError):
    """The job is in another state, or another's."""


class PlanError(AutotuneError):
    """A plan document is wrong or of an unknown version."""


class ServiceError(AutotuneError):
    """The HTTP service cannot be started or reached, or refuses what it is asked."""


class AccessError(ServiceError):
    """Nobody may do that without a token, or with this one."""


class RequestError(ServiceError):
    """A value of a request is wrong.

    Attributes:
        path: where in the body, as in `rate`; empty for the whole of it.
    """

    def __init__(self, problem: str, *, path: str = "", remedy: str = "") -> None:
        super().__init__(f"{path}: {problem}" if path else problem, remedy=remedy)
        self.path = path
        self.fault = problem


class BusyError(ServiceError):
    """The same can be asked for again later: too many ask at once, or the machine measures.

    Attributes:
        after_s: when it is worth asking again.
    """

    def __init__(self, problem: str, *, remedy: str = "", after_s: int = 10) -> None:
        super().__init__(problem, remedy=remedy)
        self.after_s = after_s


class ServingError(AutotuneError):
    """A process cannot serve as its plan was measured: no plan, no tokenizer, or a request it cannot take."""


class DifferenceError(ServingError):
    """The process, its machine, packages or artifact are others than the plan was measured with."""


class FleetError(AutotuneError):
    """No number of machines serves what is asked, or the plans cannot be chosen among."""


class ExportError(AutotuneError):
    """A target is unknown, or its files cannot be written."""
