from __future__ import annotations

from pathlib import Path

import pytest

from autotune.measurement.measurement import Failure, FailureKind
from autotune.spec.configuration import Configuration
from autotune.store.records import ConfirmationRecord, StudyRecord, TrialRecord
from autotune.testing.plans import build_measurement


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "autotune.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def study() -> StudyRecord:
    return StudyRecord(
        name="quickstart",
        created_s=1_790_000_000.25,
        spec={"model": "fake:model.json", "limits": {"latency": None}},
        machine={"allowed": "0-1", "fingerprint": "abc"},
        versions={"autotune": "0.1.0"},
        model_digest="5e" * 32,
        model_source="fake:model.json",
    )


@pytest.fixture
def configuration() -> Configuration:
    return Configuration(2, 1, "per-node", "0-1", True, "fake", "int8-dynamic")


@pytest.fixture
def measured(configuration: Configuration) -> TrialRecord:
    return TrialRecord(
        study="quickstart",
        number=0,
        configuration=configuration,
        baseline=False,
        started_s=1_790_000_001.5,
        ended_s=1_790_000_009.125,
        result=build_measurement(instances=2, request_s=0.1),
        score=160.0,
        violations={"latency_p99_s": -0.5},
        host="a-host",
    )


@pytest.fixture
def failed(configuration: Configuration) -> TrialRecord:
    return TrialRecord(
        study="quickstart",
        number=1,
        configuration=configuration,
        baseline=True,
        started_s=1_790_000_010.0,
        ended_s=1_790_000_011.0,
        result=Failure(FailureKind.CRASH, "ended with exit status 70", "Traceback: \u2028 \x00 é"),
        score=None,
    )


@pytest.fixture
def confirmed(configuration: Configuration) -> ConfirmationRecord:
    return ConfirmationRecord(
        study="quickstart",
        series=1,
        round=1,
        position=1,
        contender="trial 0",
        trial=0,
        configuration=configuration,
        started_s=1_790_000_020.0,
        ended_s=1_790_000_029.0,
        result=build_measurement(instances=2, request_s=0.1),
        score=158.0,
        violations={"latency_p99_s": -0.4},
        host="a-host",
    )
