"""Series that are only told of, and one of a fake model that runs in a moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from autotune.machine.document import machine_document
from autotune.measurement.measurement import Conditions, FailureKind
from autotune.plan.histogram import latency_histogram
from autotune.series.record import PointRecord, RunFailure, RunFigures, RunRecord, SeriesRecord
from autotune.spec.configuration import Configuration
from autotune.testing.fake_model import SCHEMA
from autotune.testing.machines import build_machine

Told = Mapping[str, Sequence[float | FailureKind | None] | str]
"""By point: samples per second in each round (None: it did not run), how it failed, or why it is skipped."""

BuildRecord = Callable[..., SeriesRecord]
WriteSeries = Callable[..., Path]

REQUESTS = 700
"""Of each run: enough for a p99."""


@pytest.fixture
def build_record() -> BuildRecord:
    """Makes the record of a series: what each point reached in its rounds."""

    def build(
        told: Told,
        *,
        rounds: int = 3,
        cores: int = 2,
        tokens: int = 128,
        study: Mapping[str, Any] | None = None,
    ) -> SeriesRecord:
        return SeriesRecord(
            name="told",
            created_s=1_790_000_000.0,
            rounds=rounds,
            series={},
            machine=machine_document(build_machine(packages=1, nodes_per_package=1)),
            versions={"autotune": "0.1.0", "python": "3.11.9"},
            points=tuple(point(name, values, cores, tokens, study or {}) for name, values in told.items()),
            runs=tuple(
                run(name, number, value)
                for name, values in told.items()
                if not isinstance(values, str)
                for number, value in enumerate(values, start=1)
                if value is not None
            ),
        )

    return build


def point(name: str, values: object, cores: int, tokens: int, study: Mapping[str, Any]) -> PointRecord:
    skipped = values if isinstance(values, str) else ""
    usual = {"model": "fake:model.json", "problem": {"batch_size": 1, "sequence_length": tokens}}
    return PointRecord(
        name=name,
        line="",
        study={**usual, **study},
        configuration=None
        if skipped
        else Configuration(cores, 1, "close", "0", smt=False, backend="fake", precision="fp32"),
        cores=0 if skipped else cores,
        model_digest="" if skipped else "5e" * 32,
        skipped=skipped,
    )


def run(name: str, number: int, value: float | FailureKind) -> RunRecord:
    failed = isinstance(value, FailureKind)
    return RunRecord(
        point=name,
        round=number,
        position=0,
        started_s=1_790_000_000.0 + 10 * number,
        ended_s=1_790_000_005.0 + 10 * number,
        figures=None if isinstance(value, FailureKind) else figures(value),
        failure=RunFailure(kind=value, reason="so it was told") if failed else None,
        attempts=2 if value == FailureKind.DISTURBED else 1,
    )


def figures(throughput_sps: float) -> RunFigures:
    latency_s = 1 / throughput_sps
    return RunFigures(
        throughput_sps=throughput_sps,
        median_s=latency_s,
        requests=REQUESTS,
        histogram=latency_histogram([latency_s] * REQUESTS) or "",
        memory_bytes=300 * 2**20,
        blocks=(Conditions(window_s=1.0, speed=0.99, steal=0.0, others_cpus=0.0),),
        dropped=(),
    )


STUDY: Mapping[str, Any] = {
    "model": "fake:model.json",
    "problem": {"batch_size": 1, "sequence_length": 1},
    "measure": {
        "warmup": "200ms",
        "block": "100ms",
        "blocks": 2,
        "trial_timeout": "20s",
        "disturbed": "keep",
    },
}

SERIES: Mapping[str, Any] = {
    "title": "Two precisions",
    "source": "a test",
    "rounds": 2,
    "study": STUDY,
    "configuration": {"engine": "fake", "cores": 1},
    "points": [
        {"name": "slow"},
        {"name": "fast", "configuration": {"precision": "int8-dynamic"}},
        {"name": "huge", "configuration": {"cores": 9999}},
    ],
    "claims": [
        {"claim": "int8 is faster", "stated": "2x", "check": "throughput(fast) / throughput(slow) >= 1.1"},
        {"claim": "int8 is slower", "check": "throughput(fast) / throughput(slow) <= 0.9"},
        {"claim": "many cores help", "check": "throughput(huge) / throughput(slow) >= 2"},
    ],
}
"""Of a model that takes 40 ms at fp32 and 20 ms at int8; the last point fits no machine."""


@pytest.fixture
def write_series(tmp_path: Path) -> WriteSeries:
    """Writes a series of a fake model, with other values than usual; its folder."""

    def write(model: Mapping[str, Any] | None = None, **values: Any) -> Path:
        folder = tmp_path / "series"
        folder.mkdir(exist_ok=True)
        speeds = {"parallel_s_per_token": 0.04, "speed": {"fp32": 1.0, "int8-dynamic": 2.0}}
        (folder / "model.json").write_text(json.dumps({"schema": SCHEMA, **speeds, **(model or {})}))
        (folder / "series.yaml").write_text(json.dumps({**SERIES, **values}))
        return folder

    return write
