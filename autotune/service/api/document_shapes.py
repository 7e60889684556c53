"""Schemas of documents of studies, plans, fleets and the machine, for the API's description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from autotune.service.api.shapes import AnswerShape, DocumentShape


class ValidationShape(DocumentShape):
    """A study that is right, and what it would do."""

    schema_: Literal["autotune.validation/1"]
    name: str
    spec: dict[str, Any]
    """Every value of the study, defaults included."""
    outlook: dict[str, Any] | None
    """As `autotune tune --dry-run --json` prints it; null where it was not laid out."""
    lines: list[str]
    """As `autotune tune --dry-run` prints it."""
    skipped: str | None
    """Why its space was not laid out."""


class StudyLineShape(DocumentShape):
    """A study, as a listing has it."""

    schema_: Literal["autotune.study/1"]
    name: str
    created_s: float
    model: str
    objective: str
    trials: int
    failed: int
    last_s: float | None
    plans: int
    newest_plan: str | None
    score: float | None
    """Of the newest plan, in the objective's unit."""
    gain: float | None


class StudyListShape(AnswerShape):
    """Studies, newest first."""

    studies: list[StudyLineShape]
    count: int
    next: int | None
    """The `offset` of the next page; null on the last one."""


class BestTrialShape(AnswerShape):
    """The best trial that meets the limits."""

    number: int
    score: float
    gain: float | None


class StudyShape(DocumentShape):
    """A study of the store."""

    schema_: Literal["autotune.study/1"]
    name: str
    created_s: float
    model: str
    model_digest: str
    spec: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    trials: int
    states: dict[str, int]
    """How many trials were `measured`, or failed in which way."""
    best: BestTrialShape | None
    plans: list[str]


class TrialShape(AnswerShape):
    """A trial without its raw values."""

    number: int
    baseline: bool
    configuration: dict[str, Any]
    in_words: str
    started_s: float
    ended_s: float
    state: str
    """`measured`, or the kind of its failure."""
    score: float | None
    violations: dict[str, float]
    """By limit, how far it is exceeded; at most 0 where it is met."""
    reason: str | None
    """Why it failed."""


class TrialListShape(AnswerShape):
    """Trials of a study by number."""

    study: str
    trials: list[TrialShape]
    next: int | None
    """The `after` of the next page; null on the last one."""


class VerificationLineShape(AnswerShape):
    """What the newest verification of a plan has shown that could tell."""

    verdict: str
    job: str
    ended_s: float


class PlanLineShape(AnswerShape):
    """A plan, as a listing has it."""

    id: str
    study: str
    objective: str
    configuration: dict[str, Any]
    score: float
    gain: float | None
    default_ratio: float | None
    created_s: float
    origin: str
    verification: VerificationLineShape | None
    """Null where it was never verified; a plan that is `worse` does not hold what it states any more."""


class PlanListShape(AnswerShape):
    """Plans, newest first."""

    plans: list[PlanLineShape]
    count: int
    next: int | None
    """The `offset` of the next page; null on the last one."""


class PlanShape(DocumentShape):
    """A plan's document; `autotune.plan.document` says more of it."""

    schema_: str
    id: str
    created_s: float
    objective: str
    scenario: str
    configuration: dict[str, Any]
    instances: list[dict[str, Any]]
    estimate: dict[str, Any]
    baseline: dict[str, Any] | None
    gain: float | None
    confirmation: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    model: dict[str, Any]
    study: dict[str, Any]
    trial: int
    warnings: list[str]


class TargetOptionShape(AnswerShape):
    """An option of a target."""

    name: str
    usual: str
    meaning: str


class TargetShape(AnswerShape):
    """What a plan can be exported to."""

    name: str
    summary: str
    programs: list[str]
    keeps: dict[str, str]
    """Part by part, `exact`, `asked` or `lost`."""
    options: list[TargetOptionShape]


class TargetListShape(DocumentShape):
    """Every target."""

    schema_: Literal["autotune.targets/1"]
    targets: list[TargetShape]


class ExportedFileShape(AnswerShape):
    """A file of an export."""

    path: str
    text: str
    executable: bool
    size_bytes: int


class LossShape(AnswerShape):
    """What a target does not keep of a plan."""

    part: str
    words: str


class ExportShape(DocumentShape):
    """What a target makes of a plan."""

    schema_: Literal["autotune.export/1"]
    plan: str
    target: str
    files: list[ExportedFileShape]
    losses: list[LossShape]
    notes: list[str]
    """What the files leave to you."""


class CostShape(DocumentShape):
    """What a plan costs, beside its baseline and smaller machines."""

    schema_: Literal["autotune.cost/1"]
    plan: str
    price: dict[str, Any]
    requests_per_s: float | None
    bills: list[dict[str, Any]]
    missing: list[dict[str, Any]]


class FleetShape(DocumentShape):
    """How many machines serve a workload."""

    schema_: Literal["autotune.fleet/1"]
    plan: str
    workload: dict[str, Any]
    basis: str
    machines: int
    needed: int
    bare: int
    machine: dict[str, Any]
    utilisation: float
    latency_s: float | None
    losses: list[dict[str, Any]]
    cost: dict[str, Any] | None
    interval: dict[str, Any] | None
    check: dict[str, Any] | None


class ChoiceShape(DocumentShape):
    """A choice among plans."""

    schema_: Literal["autotune.choice/1"]
    workload: dict[str, Any]
    budget_per_month: float | None
    ranked_by: Literal["cost", "cores"]
    chosen: str
    interval: dict[str, Any] | None
    offers: list[dict[str, Any]]


class MachineFactsShape(DocumentShape):
    """A machine; cpu lists in the kernel's notation."""

    schema_: Literal["autotune.machine/1"]
    architecture: str
    model_name: str
    allowed: str
    fingerprint: str


class EnginesShape(DocumentShape):
    """The engines and their knobs."""

    schema_: Literal["autotune.engines/1"]
    isa: list[str]
    engines: list[dict[str, Any]]
    knobs: list[dict[str, Any]]
    broken: list[str]


class ModelKindShape(AnswerShape):
    """A kind of model source."""

    name: str
    form: str
    allowed: bool
    where: str


class ModelsShape(DocumentShape):
    """The sources that a study may name."""

    schema_: Literal["autotune.models/1"]
    kinds: list[ModelKindShape]
    models: list[str]
    complete: bool
    """Whether all that lie in the operator's folders are listed."""


class SchemaShape(BaseModel):
    """A JSON Schema."""

    model_config = ConfigDict(extra="allow")


class FindingShape(AnswerShape):
    """One thing that was looked at."""

    area: str
    severity: Literal["ok", "note", "warning", "fault"]
    words: str
    remedy: str


class DoctorShape(DocumentShape):
    """What an examination found."""

    schema_: Literal["autotune.doctor/1"]
    healthy: bool
    findings: list[FindingShape]
