"""Sets a plan's threads and options in a process that makes an engine's session of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autotune.backends.protocol import MakesOptions, SetsThreads
from autotune.backends.registry import get_backend
from autotune.errors import ServingError
from autotune.runtime.differences import Difference, package_differences, process_differences, settle
from autotune.runtime.planned import PlannedInstance
from autotune.spec.configuration import Precision
from autotune.spec.knobs import split_knobs


@dataclass(frozen=True)
class EngineSettings:
    """What the plan says of an engine's session.

    Attributes:
        threads: intra-op threads; 0 = the engine's default.
        knobs: settings that differ from what is usual, by name.
        options: for the engine's own session; None where the engine was told of everything already.
        differences: how this process differs from the plan, each with what helps.
    """

    backend: str
    precision: Precision
    threads: int
    knobs: Mapping[str, str]
    options: Any = None
    differences: tuple[Difference, ...] = ()


def configure_as(planned: PlannedInstance) -> EngineSettings:
    """Tell the engine of the plan's threads and knobs; give the options that its sessions take.

    Warns where the process is not as the plan says.

    Raises:
        BackendError: the engine is unknown.
        DifferenceError: it is not installed.
    """
    backend, knobs = get_backend(planned.backend), split_knobs(planned.knobs)
    before = (*package_differences(planned, backend), *process_differences(planned))
    tolerated = settle(planned, before, "warn")
    if isinstance(backend, SetsThreads):
        backend.set_threads(planned.threads, knobs)
    options = None
    if isinstance(backend, MakesOptions):
        options = backend.session_options(planned.precision, planned.threads, knobs)
    return EngineSettings(planned.backend, planned.precision, planned.threads, knobs, options, tolerated)


def options_of(planned: PlannedInstance) -> Any:
    """Give the options that the engine's sessions take.

    Raises:
        ServingError: its sessions take none.
        BackendError: the engine is unknown.
    """
    backend = get_backend(planned.backend)
    if not isinstance(backend, MakesOptions):
        raise ServingError(
            f"{planned.plan} serves with {planned.backend}, whose sessions take no options",
            remedy="use autotune.runtime.configure(), which tells the engine of this process",
        )
    return backend.session_options(planned.precision, planned.threads, split_knobs(planned.knobs))
