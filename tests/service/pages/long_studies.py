"""Studies of any length, written as rows."""

from __future__ import annotations

import json
from dataclasses import replace

from sqlalchemy import insert, select

from autotune.measurement.measurement import Failure, FailureKind
from autotune.spec.configuration import Configuration
from autotune.spec.load import parse_study
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.rows import trial_row
from autotune.store.store import StudyStore
from autotune.store.tables import studies, trials
from autotune.testing.plans import DEFAULT, build_measurement
from tests.service.pages.site import STUDY

ONE = Configuration(1, 1, "close", "0", smt=False, backend="fake", precision="int8-dynamic")


def add_study(
    store: StudyStore,
    name: str,
    count: int,
    *,
    model_source: str = "fake:model.json",
    reason: str = "it took longer than 20 s",
) -> None:
    """Add a study with so many trials, the baseline first; every tenth has failed for this reason."""
    spec = parse_study(json.dumps({**STUDY, "name": name}), name=name)
    store.create_study(
        StudyRecord(name, 1e9, json.loads(spec.model_dump_json()), {}, {}, "5e" * 32, model_source)
    )
    records = [_trial(name, number, reason) for number in range(count)]
    with store.transaction() as connection:
        study = connection.scalar(select(studies.c.id).where(studies.c.name == name))
        connection.execute(insert(trials), [trial_row(record, study or 0) for record in records])


def _trial(study: str, number: int, reason: str) -> TrialRecord:
    is_failed = number % 10 == 2
    request_s = 0.1 / (1 + (number * 37 % 100) / 40)
    return TrialRecord(
        study=study,
        number=number,
        configuration=DEFAULT if number == 0 else replace(ONE, instances=1 + number),
        baseline=number == 0,
        started_s=1e9 + number,
        ended_s=1e9 + number + 0.5,
        result=Failure(FailureKind.TIMEOUT, reason, stderr_tail=reason)
        if is_failed
        else build_measurement(request_s=request_s),
        score=None if is_failed else 8 / request_s,
    )
