"""Runs single configurations of a study on this machine: prepared, pinned, watched and alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from autotune.backends.availability import compiling_engines
from autotune.backends.protocol import Shape
from autotune.backends.registry import get_backend
from autotune.errors import (
    CacheError,
    ChangedFileError,
    MemoryShortageError,
    ModelError,
    PreparationError,
    StudyFileError,
    UnsupportedError,
)
from autotune.events import AssessmentBegan, Emit, ReferenceBegan, WaitingBegan, WaitingEnded, unheard
from autotune.jobs.artifacts import PREPARATION_TIMEOUT_S, Artifacts
from autotune.jobs.changes import Changes
from autotune.measurement.correction import UNCORRECTED, Correction
from autotune.measurement.measurement import Failure, FailureKind, Measurement, TrialResult
from autotune.measurement.steps import kept_step
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.assessment import Assessment, LabelledScore, refuse_void_limits, shortfalls
from autotune.model.stream import StreamDescription, read_description
from autotune.objectives.catalogue import objective_of
from autotune.objectives.outcome import Resources
from autotune.placement.command import request_shapes, worker_commands
from autotune.placement.place import place
from autotune.placement.placement import Command
from autotune.preflight.setup import Setup
from autotune.preparation.children import rest_fork_server
from autotune.preparation.preparing import (
    end_fork_server,
    prepare_assessment,
    prepare_calibration,
    prepare_stream,
    reference_score,
)
from autotune.rounds.running import Entrant
from autotune.search.experience import run_blocks
from autotune.search.score import demand, needed_percentile
from autotune.search.second_stage import without_knobs
from autotune.search.serving import require_serving
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import answering
from autotune.stop import Stop
from autotune.trial.lock import Waits, host_lock
from autotune.trial.run import run_trial
from autotune.trial.server.rate_search import Demand
from autotune.trial.stopping import Rival
from autotune.trial.watch import Watch


@dataclass
class Bench:
    """What the runs of one call share: the model's prepared artifacts, and what was seen of the host.

    Attributes:
        emit, stop: told of what is about to take its time, and asked before anything is tried.
        watch: remembers how fast this machine can be.
        assessments: how near artifacts' answers are to the reference's, by the knobs that change answers too.
        scores: what the fp32 references of variants reach on labelled texts.
        rates: requests per second that configurations were last found to bear, of scenario `server`.
        waits: for others on this host or in the cache, until now.
        cache: where artifacts are; who waits there for another process is told, and that counts in `waits`.
        changes: tells whether the machine is as it was when the study was set up.
        launches: of this study's trials, those of earlier calls included: each has arrivals of its own.
    """

    setup: Setup
    emit: Emit = unheard
    stop: Stop = field(default_factory=Stop)
    watch: Watch = field(default_factory=Watch)
    assessments: dict[tuple[str, str], Assessment] = field(default_factory=dict)
    scores: dict[str, LabelledScore] = field(default_factory=dict)
    rates: dict[Configuration, float] = field(default_factory=dict)
    launches: int = 0
    waits: Waits = field(default_factory=Waits)
    cache: ArtifactCache = field(init=False)
    changes: Changes = field(init=False)
    artifacts: Artifacts = field(init=False)

    def __post_init__(self) -> None:
        self.changes = Changes(self.setup)
        self.cache = ArtifactCache(on_wait=lambda text: self.emit(WaitingBegan(text)), on_waited=self._waited)
        self.artifacts = Artifacts(self.setup, self.emit, self.cache)

    def _waited(self, seconds: float) -> None:
        self.waits.total_s += seconds
        self.emit(WaitingEnded(seconds))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the host's lock, on a machine that is and stays as it was when the study was set up.

        What the lock takes to get is counted as waited for.

        Raises:
            ChangedMachineError: the machine or a version is another one, before or afterwards: whatever was
                measured or failed meanwhile says nothing of a configuration.
        """
        with host_lock(lambda text: self.emit(WaitingBegan(text))) as waited_s:
            if waited_s:
                self._waited(waited_s)
            self.changes.refuse()
            try:
                yield
            except Exception:
                self.changes.refuse()
                raise
            self.changes.refuse()

    def try_reference(self) -> None:
        """Have the first model's fp32 reference answer requests as long as the study's.

        What it answers is kept: all others are compared with it.

        Raises:
            ModelError: it cannot be loaded, or does not answer.
            StudyFileError: the texts of the study do not suit it.
            PreparationError: that took too long, ran out of memory or disk, or broke.
            Stopped: as `stop` says.
        """
        self.stop.heed()
        first = self.setup.variants[self.setup.spec.variants[0]]
        if first.model.kind == "fake":
            return
        with self.alone():
            self.emit(ReferenceBegan(first.model.source))
            prepare_calibration(first.model, first.calibration, self.cache, timeout_s=PREPARATION_TIMEOUT_S)

    def search(
        self,
        configuration: Configuration,
        *,
        rival: Rival | None,
        max_measuring_s: float | None,
        unprepared: Callable[[], None],
        correction: Correction = UNCORRECTED,
    ) -> TrialResult:
        """Measure a configuration for as long as the decision about it needs, if its answers are near enough.

        Preparing and comparing are done under the host's lock too, as they would disturb others.

        Args:
            correction: what the study has learned of how conditions move values.
            unprepared: told when the artifact could not be made, or its answers not be compared; errors of a
                configuration with knobs that are turned when it is loaded are its own.

        Raises:
            CacheError: the cache is unusable, which says nothing of the configuration.
            ChangedMachineError: nor does what happens on a machine that changes; see `alone`.
            ModelError, StudyFileError: the study's model cannot be run, or compared with; of several, the
                first, which the others are compared with, unless a file of the study has changed meanwhile.
        """
        spec = self.setup.spec
        with self.alone():
            try:
                if unfit := self.variant_refusal(configuration.model):
                    return Failure(FailureKind.WRONG_OUTPUT, unfit, model_wide=True)
                commands = self.commands(configuration)
                refusal = self.refusal(configuration)
            except UnsupportedError as error:
                return Failure(FailureKind.UNSUPPORTED, error.in_one_line)
            except (ModelError, StudyFileError) as error:
                if self._is_first(configuration.model) or isinstance(error, ChangedFileError):
                    raise
                return Failure(FailureKind.UNSUPPORTED, error.in_one_line, model_wide=True)
            except CacheError:
                raise
            except PreparationError as error:
                if configuration.is_plain:
                    unprepared()
                is_short = isinstance(error, MemoryShortageError)
                kind = FailureKind.OUT_OF_MEMORY if is_short else FailureKind.CRASH
                return Failure(kind, error.in_one_line, may_pass=True)
            if refusal:
                return Failure(FailureKind.WRONG_OUTPUT, refusal, pair_wide=configuration.is_plain)
            rest_fork_server(self.setup.machine.memory_limit_bytes)
            launch = partial(
                run_trial,
                commands,
                configuration=configuration,
                scenario=spec.scenario,
                measure=spec.measure,
                objective=objective_of(spec),
                percentile=needed_percentile(spec),
                rival=rival,
                watch=self.watch,
                max_measuring_s=max_measuring_s,
                demand=self._demand(configuration),
                correction=correction,
                resources=self._resources(commands),
            )
            result = self.changes.as_asked(launch)
        return self._remembered(configuration, result)

    def confirm(self, entrant: Entrant) -> TrialResult:
        """Measure an entrant for as long as every other one: nothing that it shows decides when to stop.

        Raises:
            ChangedMachineError: the machine is not what it was; see `alone`.
        """
        spec = self.setup.spec
        with self.alone():
            end_fork_server()
            launch = partial(
                run_trial,
                entrant.commands,
                configuration=entrant.configuration,
                scenario=spec.scenario,
                measure=spec.measure.model_copy(
                    update=dict.fromkeys(("blocks", "max_blocks"), run_blocks(spec))
                ),
                objective=objective_of(spec),
                percentile=needed_percentile(spec),
                watch=self.watch,
                demand=self._demand(entrant.configuration),
                resources=self._resources(entrant.commands),
            )
            result = self.changes.as_asked(launch)
        return self._remembered(entrant.configuration, result)

    def _resources(self, commands: Sequence[Command]) -> Resources:
        """What the instances take from everybody else: of a host under a quota no more than that."""
        machine = self.setup.machine
        cores = machine.cores_of([cpu for command in commands for cpu in command.cpus])
        return Resources(min(cores, machine.thread_budget), self.setup.spec.price)

    def _demand(self, configuration: Configuration) -> Demand | None:
        self.launches += 1
        plain_rate = self.rates.get(without_knobs(configuration))
        rate = self.rates.get(configuration, plain_rate)
        return demand(self.setup.spec, rate, launch=self.launches)

    def _remembered(self, configuration: Configuration, result: TrialResult) -> TrialResult:
        """Begin the next run of this configuration at the rate of this one, if it bears that."""
        if isinstance(result, Measurement) and result.rates and kept_step(result).met:
            self.rates[configuration] = kept_step(result).rate_per_s
        return result

    def commands(self, configuration: Configuration) -> tuple[Command, ...]:
        """What starts a configuration; its artifact is prepared where it is not in the cache.

        Raises:
            UnsupportedError: the engine cannot do this.
            PreparationError: the artifact cannot be made; `CacheError` where the cache is the reason.
        """
        spec, requests = self.setup.spec, self.requests(configuration)
        return worker_commands(
            configuration,
            place(configuration, self.setup.machine),
            self.artifacts.get(configuration, self._shapes(configuration, requests)),
            spec.problem,
            spec.scenario,
            spec.seed,
            spec.measure.warmup_s,
            get_backend(configuration.backend),
            requests=requests,
        )

    def requests(self, configuration: Configuration) -> Artifact | None:
        """The stream that a configuration's instances are given, from the cache; None of one length.

        Raises:
            PlacementError: the configuration does not say how they are put together, or says it in vain.
            PreparationError: the stream cannot be made.
        """
        require_serving(configuration, self.setup.spec)
        variant = self.setup.variant(configuration)
        source = variant.stream(configuration)
        if source is None:
            return None
        return prepare_stream(variant.model, source, self.cache, timeout_s=PREPARATION_TIMEOUT_S)

    def described_requests(self, configuration: Configuration) -> StreamDescription | None:
        """What a configuration's instances are given; None where requests are of one length.

        Raises:
            PreparationError: the stream cannot be made.
        """
        found = self.requests(configuration)
        return None if found is None else read_description(found.directory)

    def _shapes(self, configuration: Configuration, requests: Artifact | None) -> Iterable[Shape]:
        """What an engine compiles for, if it does, or an export may hold for alone.

        Raises:
            UnsupportedError: it does, and there are too many.
        """
        spec = self.setup.spec
        if requests is None:
            return request_shapes(configuration, spec.problem, spec.scenario)
        described = read_description(requests.directory)
        if not described.shapes and compiling_engines([configuration.backend]):
            raise UnsupportedError(
                f"{configuration.backend} compiles for every shape of request, and these have "
                f"{described.shape_count}",
                remedy="pad to the longest or to buckets, in batches as they come and without a cache",
            )
        return described.shapes

    def unfit(self, configuration: Configuration) -> str:
        """Why a configuration that was measured once may not be chosen for its answers; empty if it may.

        Raises:
            CacheError, MemoryShortageError: the cache is unusable, or memory short, which says nothing of the
                configuration.
            ModelError, StudyFileError: a model of the study cannot be run, or compared with.
        """
        try:
            return self.variant_refusal(configuration.model) or self.refusal(configuration)
        except (CacheError, MemoryShortageError):
            raise
        except (UnsupportedError, PreparationError) as error:
            return error.in_one_line

    def refusal(self, configuration: Configuration) -> str:
        """Why a configuration's answers are too far from the reference's; empty if they are near enough.

        Raises:
            AutotuneError: they cannot be compared, or a limit is on what they do not have.
        """
        assessment, limits = self.assessment(configuration), self.setup.spec.quality
        refuse_void_limits(assessment, limits)
        found = list(shortfalls(assessment, limits))
        return f"too far from the fp32 reference: {'; '.join(found)}" if found else ""

    def variant_refusal(self, variant: str) -> str:
        """Why no configuration of one of several models may be measured; empty if they may.

        On labelled texts its fp32 reference must be nearly as good as the first model's.

        Raises:
            AutotuneError: that cannot be found out.
        """
        if self._is_first(variant) or self.setup.variants[variant].evaluation is None:
            return ""
        scored = self._against_first(self._reference_score(variant))
        found = list(shortfalls(Assessment("texts", scored.rows, labelled=scored), self.setup.spec.quality))
        return f"{variant} is too much worse than {scored.of} at fp32: {'; '.join(found)}" if found else ""

    def _is_first(self, variant: str) -> bool:
        return variant == self.setup.spec.variants[0]

    def _reference_score(self, variant: str) -> LabelledScore:
        """What the fp32 reference of a model reaches on labelled texts; there must be some."""
        one = self.setup.variants[variant]
        assert one.evaluation is not None
        if variant not in self.scores:
            self.scores[variant] = reference_score(
                one.model, one.evaluation, self.cache, timeout_s=PREPARATION_TIMEOUT_S
            )
        return self.scores[variant]

    def _against_first(self, scored: LabelledScore) -> LabelledScore:
        """A score of one of several models beside that of the first one's fp32 reference."""
        first = self.setup.spec.variants[0]
        return replace(scored, reference=self._reference_score(first).reference, of=first)

    def assessment(self, configuration: Configuration) -> Assessment:
        """How near the answers of a configuration's model, backend and precision are to the reference's.

        Those of its knobs count that change answers. Found out once, with a thread on every core; kept in the
        cache. A metric on labelled texts is compared with the first model's.

        Raises:
            AutotuneError: they cannot be compared.
        """
        knobs, machine = answering(configuration.knobs), self.setup.machine
        compiles = bool(compiling_engines([configuration.backend]))
        shapes = () if compiles else self._shapes(configuration, self.requests(configuration))
        artifact = self.artifacts.get(configuration, shapes)
        if (key := (artifact.key, knobs)) not in self.assessments:
            self.emit(AssessmentBegan(str(configuration.prepared)))
            variant = self.setup.variant(configuration)
            found = prepare_assessment(
                variant.model,
                artifact,
                variant.calibration,
                variant.evaluation,
                self.cache,
                threads=min(machine.thread_budget, len(machine.allowed_cores)),
                timeout_s=PREPARATION_TIMEOUT_S,
                knobs=knobs,
            )
            if found.labelled is not None and not self._is_first(configuration.model):
                found = replace(found, labelled=self._against_first(found.labelled))
            self.assessments[key] = found
        return self.assessments[key]
