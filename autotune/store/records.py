"""What the store keeps, as frozen values: studies, trials, confirmations, and what listings show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autotune.spec.configuration import Configuration

if TYPE_CHECKING:
    from autotune.measurement.measurement import TrialResult


@dataclass(frozen=True)
class StudyRecord:
    """One study: what was asked, and where it is measured.

    Attributes:
        name: unique in a store; the Optuna study has the same.
        created_s: Unix time.
        spec: the study file's values.
        machine: what `autotune machine --json` prints, with the fingerprint.
        versions: of autotune, Python, kernel and every library that decides speed.
        model_digest: hex SHA-256 of what decides the model's outputs.
        model_source: the model as written in the study file.
    """

    name: str
    created_s: float
    spec: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    model_digest: str
    model_source: str


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial with its raw values.

    Attributes:
        study: name of its study.
        number: Optuna's number of the trial, unique in the study.
        baseline: whether it measured the out-of-box configuration.
        started_s, ended_s: Unix time.
        score: what the study was told, in the objective's unit; None for a failure.
        violations: by limit, how far it is exceeded; at most 0 where it is met.
        host: name of the host that ran it; empty where nobody kept it, as older versions did not.
    """

    study: str
    number: int
    configuration: Configuration
    baseline: bool
    started_s: float
    ended_s: float
    result: TrialResult
    score: float | None
    violations: Mapping[str, float] = field(default_factory=dict)
    host: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether it failed for a reason that may pass, and says nothing of its configuration."""
        from autotune.measurement.measurement import Failure  # here: a listing reads no results

        return isinstance(self.result, Failure) and self.result.may_pass


@dataclass(frozen=True)
class TrialSummary:
    """A `TrialRecord` without its raw values.

    Attributes:
        failure: a `FailureKind`'s value; None for a measurement.
    """

    study: str
    number: int
    configuration: Configuration
    baseline: bool
    started_s: float
    ended_s: float
    failure: str | None
    score: float | None
    violations: Mapping[str, float]


@dataclass(frozen=True)
class ConfirmationRecord:
    """One run of a confirmation with its raw values.

    Attributes:
        study: name of its study.
        series: numbers the confirmations of a study; one with other finalists is another.
        round: within the series, from 1; position: in the order of the round, from 0.
        contender: its name in the contest: `baseline`, `trial 7`, `twin`.
        trial: number of the trial whose configuration it runs again.
        started_s, ended_s: Unix time.
        score: in the objective's unit; None for a failure.
        violations: by limit, how far it is exceeded; at most 0 where it is met.
        host: name of the host that ran it; empty where nobody kept it.
    """

    study: str
    series: int
    round: int
    position: int
    contender: str
    trial: int
    configuration: Configuration
    started_s: float
    ended_s: float
    result: TrialResult
    score: float | None
    violations: Mapping[str, float] = field(default_factory=dict)
    host: str = ""


@dataclass(frozen=True)
class PlanSummary:
    """One line of `autotune plans`.

    Attributes:
        score: the objective's value, in its unit.
        gain: over the baseline, more than 1 is better; None where the baseline failed or misses a limit.
        default_ratio: over the best default, more than 1 is better; None where the plan does not know it, as
            one that may be the best was not measured, or no default meets the limits.
        created_s: Unix time.
        origin: the file or store that it was imported from; empty of what was made in this one.
    """

    id: str
    study: str
    objective: str
    configuration: Configuration
    score: float
    gain: float | None
    default_ratio: float | None
    created_s: float
    origin: str = ""
