from __future__ import annotations

from pathlib import Path

import pytest

from autotune.spec.configuration import Configuration
from autotune.store.records import ConfirmationRecord, StudyRecord, TrialRecord
from autotune.testing.plans import build_measurement
from autotune.testing.store_contract import CONFIGURATION, FAILED, MEASURED, STUDY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "autotune.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def study() -> StudyRecord:
    return STUDY


@pytest.fixture
def configuration() -> Configuration:
    return CONFIGURATION


@pytest.fixture
def measured() -> TrialRecord:
    return MEASURED


@pytest.fixture
def failed() -> TrialRecord:
    return FAILED


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
