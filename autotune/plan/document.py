"""The plan as a versioned JSON document."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import from_json, to_json

from autotune.errors import PlanError
from autotune.machine.cpus import MAX_CPU
from autotune.model.assessment import Assessment
from autotune.model.texts.files_read import FileRead
from autotune.objectives.catalogue import objective_named
from autotune.objectives.cost import Cost
from autotune.objectives.latency import Latency
from autotune.placement.assignment import Assignment
from autotune.placement.placement import Command, WorkerProgram
from autotune.plan.curve import Curve
from autotune.plan.evidence import (
    Confirmation,
    DocumentPart,
    Estimate,
    Positive,
    Range,
    ServedRequests,
    StrictConfiguration,
)
from autotune.plan.faults import fault_in_words
from autotune.plan.upgrade import UPGRADES
from autotune.spec.configuration import Precision
from autotune.spec.price import FORMS, Price
from autotune.spec.scenario import Scenario

SCHEMA: Final = "autotune.plan/5"

Cpu = Annotated[int, Field(ge=0, le=MAX_CPU)]
PrintableText = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""An argument or a variable's value: no process can be given a NUL."""
GivenText = Annotated[str, Field(pattern=r"^[^\x00]+$")]
"""The same, which says something."""
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


UnixTime = Annotated[float, Field(ge=0, lt=253_370_764_800)]
"""Before the year 9999, after which a date cannot be written in every time zone."""


def _spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Refuse a study whose problem has no parts of its own, or whose price is none."""
    if not isinstance(spec.get("problem", {}), dict):
        raise ValueError("its `problem` must be a mapping")
    price_of(spec)
    return spec


def price_of(spec: dict[str, Any]) -> Price | None:
    """Read the price in a study's values; None where they state none.

    Raises:
        ValueError: it is none.
    """
    stated = spec.get("price")
    try:
        return None if stated is None else Price.model_validate_json(to_json(stated))
    except ValidationError as error:
        raise ValueError(f"{fault_in_words(error, under=('price',))}; write {FORMS}") from error


def _objective(name: str) -> str:
    """Refuse the name of a percentile that there is none of."""
    aim = objective_named(name)
    if isinstance(aim, Latency) and not 0 < aim.of < 100:
        raise ValueError("its percentile must lie between 0 and 100")
    return name


def _model(model: dict[str, Any]) -> dict[str, Any]:
    """Refuse a model that does not say where it comes from."""
    if not isinstance(model.get("source"), str):
        raise ValueError("its `source` must be a text")
    return model


ObjectiveName = Annotated[str, AfterValidator(_objective)]


class PlanWorker(DocumentPart):
    """What one instance was measured as: the interpreter, and an `Assignment` in the document's words.

    Attributes:
        interpreter: the Python that runs autotune's worker.
        artifact: folder of the prepared model.
        threads: 0 = the engine's default.
        sequence_length: tokens of every sequence; None where they are those of `requests`.
        requests: folder of the stream; None where all requests are of one length.
        instance: index among `instances`.
    """

    interpreter: GivenText
    backend: GivenText
    precision: Precision
    artifact: GivenText
    threads: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=1)]
    sequence_length: Annotated[int, Field(ge=1)] | None = None
    requests: GivenText | None = None
    seed: int
    warmup_s: Annotated[float, Field(ge=0)]
    instance: Annotated[int, Field(ge=0)]
    instances: Annotated[int, Field(ge=1)]
    knobs: PrintableText = ""

    @model_validator(mode="after")
    def _has_requests_of_one_kind(self) -> Self:
        if (self.sequence_length is None) == (self.requests is None):
            raise ValueError("it takes either a `sequence_length` or `requests`")
        return self

    @classmethod
    def of(cls, program: WorkerProgram) -> Self:
        """The worker that this program is."""
        assignment = program.assignment
        return cls(
            interpreter=program.interpreter,
            backend=assignment.backend,
            precision=assignment.precision,
            artifact=str(assignment.artifact),
            threads=assignment.threads,
            batch_size=assignment.batch_size,
            sequence_length=assignment.sequence_length or None,
            requests=None if assignment.requests is None else str(assignment.requests),
            seed=assignment.seed,
            warmup_s=assignment.warmup_s,
            instance=assignment.instance,
            instances=assignment.instances,
            knobs=assignment.knobs,
        )

    def program(self) -> WorkerProgram:
        """The inverse of `of`."""
        assignment = Assignment(
            backend=self.backend,
            precision=self.precision,
            artifact=Path(self.artifact),
            batch_size=self.batch_size,
            threads=self.threads,
            seed=self.seed,
            warmup_s=self.warmup_s,
            instance=self.instance,
            instances=self.instances,
            sequence_length=self.sequence_length or 0,
            requests=None if self.requests is None else Path(self.requests),
            knobs=self.knobs,
        )
        return WorkerProgram(self.interpreter, assignment)


class PlanInstance(DocumentPart):
    """One process to start: a `Command` in the document's words."""

    cpus: tuple[Cpu, ...]
    memory_nodes: tuple[Annotated[int, Field(ge=0)], ...]
    env: dict[VariableName, PrintableText]
    worker: PlanWorker

    @classmethod
    def of(cls, command: Command) -> Self:
        """The instance that this command starts."""
        return cls(
            cpus=command.cpus,
            memory_nodes=command.memory_nodes,
            env=dict(command.environment),
            worker=PlanWorker.of(command.worker),
        )

    def command(self) -> Command:
        """The inverse of `of`."""
        return Command(self.worker.program(), self.env, self.cpus, self.memory_nodes)


class PlanStudy(DocumentPart):
    """The study that the plan was made of.

    Attributes:
        spec: the values as stores hold them, which a document of an older version may not have all;
            `autotune.plan.study` reads them whole.
    """

    name: str
    spec: Annotated[dict[str, Any], AfterValidator(_spec)] = Field(default_factory=dict)

    def stated(self, *path: str) -> Any:
        """The value at this place of `spec`; None where the document does not say it."""
        value: Any = self.spec
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


class Plan(DocumentPart):
    """What to deploy, and the evidence for it; self-contained.

    Attributes:
        id: the study's name and six hex digits of the rest's digest.
        created_s: Unix time.
        objective: its name, as `autotune.objectives.catalogue` knows it.
        configuration: the winner.
        instances: what starts it, in the order of the placement.
        baseline: of the out-of-box configuration, in the same rounds; None where it failed.
        gain: of the objective over the baseline; more than 1 is better; None where the baseline failed,
            misses a limit or bears almost no rate.
        no_gain: why there is none though the baseline was measured, by how much it misses which limit, as a
            clause; else empty.
        gain_range: its 95 % interval; None where there is no gain, or the baseline itself is the plan.
        confirmation: how it was chosen, and against whom.
        requests: what they were like, where they differ; None where they are of one length.
        files: what was read of those that the study names, without their texts; empty in documents from
            before that.
        quality: how near its answers are to the fp32 reference's; None in documents from before that.
        machine: what `autotune machine --json` prints, with the fingerprint.
        versions: of autotune, Python, kernel and every library that decides speed.
        model: its `source`, `digest`, the `artifact` folder that the instances load, where requests differ
            the folder of the `requests` that they are given, and in words what is `served` beside its
            encoder, where there is anything.
        study: its name, and the study file's values.
        trial: number of the winning trial.
        warnings: sentences on what weakens the evidence.
        curve: what its processes gave at several arrival rates; None where none was tried. It may come after
            the plan was made, and the id is no digest of it.
    """

    schema_: Literal["autotune.plan/5"] = Field(default=SCHEMA, alias="schema")
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
    created_s: UnixTime
    objective: ObjectiveName
    scenario: Scenario
    configuration: StrictConfiguration
    instances: tuple[PlanInstance, ...]
    estimate: Estimate
    baseline: Estimate | None
    gain: Positive | None
    gain_range: Range | None = None
    no_gain: str = ""
    confirmation: Confirmation
    requests: ServedRequests | None = None
    files: tuple[FileRead, ...] = ()
    quality: Assessment | None = None
    machine: dict[str, Any]
    versions: dict[str, str]
    model: Annotated[dict[str, Any], AfterValidator(_model)]
    study: PlanStudy
    trial: int
    warnings: tuple[str, ...] = ()
    curve: Curve | None = None

    @model_validator(mode="after")
    def _has_every_instance(self) -> Self:
        if len(self.instances) != self.configuration.instances:
            raise ValueError(
                f"{len(self.instances)} instances, but its configuration has {self.configuration.instances}"
            )
        return self

    @model_validator(mode="after")
    def _has_one_currency(self) -> Self:
        aim, price = objective_named(self.objective), price_of(self.study.spec)
        if isinstance(aim, Cost) and price is not None and price.is_known and price.currency != aim.currency:
            raise ValueError(f"its objective is {aim.name}, but its study's price is in {price.currency}")
        return self

    @property
    def is_baseline(self) -> bool:
        """Whether the plan is the out-of-box configuration itself, so that there is no gain to speak of."""
        is_unpinned = self.configuration.placement == "unpinned"
        return self.confirmation.verdict == "baseline" or (is_unpinned and self.gain == 1)

    def commands(self) -> tuple[Command, ...]:
        """What starts the plan: every exporter renders exactly these."""
        return tuple(instance.command() for instance in self.instances)


def plan_values(plan: Plan) -> dict[str, Any]:
    """The document as JSON values."""
    return plan.model_dump(mode="json")


def format_plan(plan: Plan) -> str:
    """Write the document, indented, with a final newline; `parse_plan(format_plan(plan)) == plan`."""
    return plan.model_dump_json(indent=2) + "\n"


def parse_plan(text: str | bytes) -> Plan:
    """Read a plan document.

    Raises:
        PlanError: it is not JSON, of an unknown version, or wrong; with the path of the value in it.
    """
    try:
        values = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise PlanError(f"the plan is not a JSON document: {error}", remedy=_REMEDY) from error
    schema = _check_schema(values)
    try:
        if schema != SCHEMA:
            text = to_json(UPGRADES[schema](values))
        return _without_void_gain(Plan.model_validate_json(text, strict=True))
    except ValidationError as error:
        raise PlanError(fault_in_words(error), remedy=_REMEDY) from error


def _without_void_gain(plan: Plan) -> Plan:
    """A plan without the ratio to a baseline that is out, which documents stated until that was mended."""
    if plan.confirmation.verdict != "unopposed" or plan.gain is None:
        return plan
    return plan.model_copy(
        update={"gain": None, "gain_range": None, "no_gain": "the baseline failed, or misses a limit"}
    )


_REMEDY = "give a file that `autotune export --to json` wrote, or a plan of the store"


def _check_schema(values: object) -> str:
    """Give the document's schema, which is one that is read here."""
    if not isinstance(values, dict) or "schema" not in values:
        raise PlanError("the document is not a plan: it has no `schema`", remedy=_REMEDY)
    schema = values["schema"]
    if schema != SCHEMA and (not isinstance(schema, str) or schema not in UPGRADES):
        raise PlanError(
            f"the plan has the schema {schema!r:.80}; this autotune reads {SCHEMA!r} and older",
            remedy="read it with the version of autotune that wrote it, or tune again",
        )
    return str(schema)
