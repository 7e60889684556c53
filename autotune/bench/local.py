"""The host that this process runs on: it alone takes the lock, reads the machine, and ends children."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from autotune.bench.answers import Answers
from autotune.bench.artifacts import PREPARATION_TIMEOUT_S, Artifacts
from autotune.bench.changes import Changes
from autotune.bench.host import Admission, HostFacts, Seen
from autotune.bench.lock import Waits, host_lock
from autotune.bench.looking import look_around
from autotune.bench.order import Order
from autotune.bench.starting import Starting
from autotune.errors import (
    CacheError,
    ChangedFileError,
    MemoryShortageError,
    ModelError,
    PreparationError,
    StudyFileError,
    UnsupportedError,
)
from autotune.events import Emit, ReferenceBegan, WaitingBegan, WaitingEnded, unheard
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.model.artifacts.cache import ArtifactCache
from autotune.objectives.catalogue import objective_of
from autotune.objectives.outcome import Resources
from autotune.placement.placement import Command
from autotune.placement.smaller import cores_taken
from autotune.preflight.setup import Setup
from autotune.preparation.children import rest_fork_server
from autotune.preparation.preparing import end_fork_server, prepare_calibration
from autotune.search.experience import run_blocks
from autotune.search.score import demand, needed_percentile
from autotune.spec.configuration import Configuration
from autotune.spec.study import Measure, StudySpec
from autotune.stop import Stop
from autotune.trial.run import Trial, run_trial
from autotune.trial.watch import Watch


@dataclass
class LocalHost:
    """This machine, as a host of one study: see `Host` for what it does.

    Attributes:
        setup: the study, and what of the machine it counts on.
        emit, stop: told of what is about to take its time, and asked before anything is tried.
        watch: remembers how fast this machine can be.
        waits: for others on this host or in the cache, until now.
    """

    setup: Setup
    emit: Emit = unheard
    stop: Stop = field(default_factory=Stop)
    watch: Watch = field(default_factory=Watch)
    waits: Waits = field(default_factory=Waits)

    def __post_init__(self) -> None:
        self._cache = ArtifactCache(on_wait=self._began_waiting, on_waited=self._waited)
        self._changes = Changes(self.setup)
        self._artifacts = Artifacts(self.setup, self.emit, self._cache)
        self._starting = Starting(self.setup, self._artifacts)
        self._answers = Answers(self.setup, self._starting, self.emit)
        self._admissions: dict[Configuration, Admission] = {}

    def serving(self, setup: Setup) -> LocalHost:
        """Give the same host for another study: what it knows of its speed and has waited is shared."""
        return replace(self, setup=setup)

    def describe(self) -> HostFacts:
        """See `Host`."""
        return HostFacts(
            name=socket.gethostname(),
            machine=self.setup.machine,
            versions=self.setup.versions,
            waited_s=self.waits.total_s,
            ready=frozenset(self._artifacts.ready),
        )

    def rehearse(self) -> None:
        """See `Host`; what the first model's fp32 reference answers is kept: others are compared with it.

        Raises:
            Stopped: as `stop` says.
        """
        self.stop.heed()
        first = self.setup.variants[self.setup.spec.variants[0]]
        if not first.model.traits.has_reference:
            return
        with self._alone():
            self.emit(ReferenceBegan(first.model.source))
            prepare_calibration(first.model, first.calibration, self._cache, timeout_s=PREPARATION_TIMEOUT_S)

    def look(self) -> Seen:
        """See `Host`; looks are taken under the host's lock, and have a part of the study's minutes.

        Raises:
            Stopped: as `stop` says.
        """
        return look_around(self.setup, self.emit, self._cache, self._alone, self._go_on)

    def admit(self, configuration: Configuration, *, compare: bool = True, wait: bool = True) -> Admission:
        """See `Host`; all of it is done under the host's lock, as it would disturb others.

        What a trial of this call has had, and is still there, is given at once: nobody has to be waited for.
        """
        known = self._admissions.get(configuration)
        if known is not None and compare and _is_there(known.commands):
            return known
        with self._alone() if wait else nullcontext():
            variant_refusal = self._answers.variant_refusal(configuration.model) if compare else ""
            is_compared = compare and not variant_refusal
            quality = self._answers.assessment(configuration) if is_compared else None
            return Admission(
                commands=self._starting.commands(configuration),
                requests=self._starting.described_requests(configuration),
                quality=quality,
                refusal="" if quality is None else self._answers.refusal(quality),
                variant_refusal=variant_refusal,
            )

    def run(self, order: Order) -> TrialResult:
        """See `Host`; an order of the search is run if its answers are near enough.

        Preparing and comparing are done under the host's lock too, as they would disturb others.
        """
        with self._alone():
            if order.purpose == "confirm":
                end_fork_server()
                commands = order.commands or self._starting.commands(order.configuration)
            else:
                admitted = self._admitted(order)
                if isinstance(admitted, Failure):
                    return admitted
                commands = admitted
                rest_fork_server(self.setup.machine.memory_limit_bytes)
            return self._changes.as_asked(partial(self._launch, order, commands))

    def release(self) -> None:
        """See `Host`: end the process that prepared last."""
        end_fork_server()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the host's lock, on a machine that is and stays as it was when the study was set up.

        What the lock takes to get is counted as waited for.

        Raises:
            ChangedMachineError: the machine or a version is another one, before or afterwards: whatever was
                measured or failed meanwhile says nothing of a configuration.
        """
        with host_lock(self._began_waiting) as waited_s:
            if waited_s:
                self._waited(waited_s)
            self._changes.refuse()
            try:
                yield
            except Exception:
                self._changes.refuse()
                raise
            self._changes.refuse()

    def _began_waiting(self, text: str) -> None:
        self.emit(WaitingBegan(text))

    def _waited(self, seconds: float) -> None:
        self.waits.total_s += seconds
        self.emit(WaitingEnded(seconds))

    def _go_on(self) -> None:
        self.stop.heed()
        self._changes.refuse()

    def _admitted(self, order: Order) -> tuple[Command, ...] | Failure:
        """Give what starts the order's configuration, or why that fails before anything is started.

        What cannot be prepared speaks for all that needs it, unless the configuration has knobs that are
        turned when it is loaded: their errors are its own.
        """
        configuration, answers = order.configuration, self._answers
        try:
            if unfit := answers.variant_refusal(configuration.model):
                return Failure(FailureKind.WRONG_OUTPUT, unfit, model_wide=True)
            commands = self._starting.commands(configuration, order.preparation_s)
            quality = answers.assessment(configuration)
            refusal = answers.refusal(quality)
            requests = self._starting.described_requests(configuration)
        except UnsupportedError as error:
            return Failure(FailureKind.UNSUPPORTED, error.in_one_line)
        except (ModelError, StudyFileError) as error:
            if answers.is_first(configuration.model) or isinstance(error, ChangedFileError):
                raise
            return Failure(FailureKind.UNSUPPORTED, error.in_one_line, model_wide=True)
        except CacheError:
            raise
        except PreparationError as error:
            is_short = isinstance(error, MemoryShortageError)
            kind = FailureKind.OUT_OF_MEMORY if is_short else FailureKind.CRASH
            return Failure(kind, error.in_one_line, pair_wide=configuration.is_plain, may_pass=True)
        if refusal:
            return Failure(FailureKind.WRONG_OUTPUT, refusal, pair_wide=configuration.is_plain)
        self._admissions[configuration] = Admission(commands, requests, quality)
        return commands

    def _launch(self, order: Order, commands: tuple[Command, ...]) -> TrialResult:
        spec = self.setup.spec
        return run_trial(
            commands,
            Trial(
                configuration=order.configuration,
                scenario=spec.scenario,
                measure=measure_of(order, spec),
                objective=objective_of(spec),
                percentile=needed_percentile(spec),
                rival=order.rival,
                max_measuring_s=order.max_measuring_s,
                demand=demand(
                    spec, order.start_rate_per_s, launch=order.launch, is_fixed=order.is_fixed_rate
                ),
                correction=order.correction,
                resources=resources_taken(order.configuration, commands, self.setup),
            ),
            watch=self.watch,
        )


def _is_there(commands: Sequence[Command]) -> bool:
    """Tell whether all that commands load is still where it was: the cache may have been pruned."""
    return all(
        path.exists()
        for worker in (command.worker for command in commands)
        for path in (Path(worker.interpreter), *worker.assignment.folders)
    )


def resources_taken(configuration: Configuration, commands: Sequence[Command], setup: Setup) -> Resources:
    """Count what a configuration takes from everybody else."""
    return Resources(cores_taken(configuration, commands, setup.machine), setup.spec.price)


def measure_of(order: Order, spec: StudySpec) -> Measure:
    """Say how an order is measured: to confirm, for as long as every other, whatever it shows."""
    if order.purpose == "search":
        return spec.measure
    return spec.measure.model_copy(update=dict.fromkeys(("blocks", "max_blocks"), run_blocks(spec)))
