"""Stores as large as the service is to bear: studies, trials, plans and jobs, written in a few seconds.

The values are built: of trials that have raw latencies, failures with their reasons, and plans with evidence.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import insert

from autotune.events import Progress, Summary, TrialBegan, TrialEnded, to_json
from autotune.machine.document import machine_document
from autotune.measurement.measurement import Failure, FailureKind, TrialResult
from autotune.model.stored_study import study_document
from autotune.queue.holding import holder_of
from autotune.queue.requests import TuneValues, tune_request
from autotune.spec.configuration import Configuration
from autotune.spec.study import StudySpec
from autotune.store.job_records import JobHolder
from autotune.store.job_tables import events
from autotune.store.jobs import JobQueue
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.rows import plan_row, study_row, trial_row
from autotune.store.store import StudyStore
from autotune.store.tables import plans, studies, trials
from autotune.testing.machines import build_machine
from autotune.testing.plans import build_measurement, build_plan

LARGE = "large"
"""Name of the study that has a thousand trials."""
LARGE_TRIALS = 1000
TRIALS = 100
"""How many every other study has."""
BEGAN_S = 1_790_000_000.0
RAN = "a-former-machine"
"""Name of a machine on which a job has run."""

REASON = "the worker ended with exit status 70: RuntimeError: could not create a primitive descriptor"


def spec_of(name: str) -> StudySpec:
    """Build the study that everything in the store claims to be of."""
    written = {
        "name": name,
        "model": "random:distilbert-base",
        "problem": {"batch_size": 8, "sequence_length": 128},
        "limits": {"latency": {"percentile": 99.0, "max_s": 0.4}},
    }
    return StudySpec.model_validate_json(json.dumps(written))


def fill(store: StudyStore, *, trial_count: int = 10_000, plan_count: int = 100) -> None:
    """Write studies of a hundred trials and one of a thousand, in one transaction."""
    names = [LARGE, *(f"study-{index}" for index in range((trial_count - LARGE_TRIALS) // TRIALS))]
    machine = machine_document(build_machine(packages=2, cores_per_node=16))
    with store.transaction() as connection:
        for study_id, name in enumerate(names, start=1):
            record = StudyRecord(
                name=name,
                created_s=BEGAN_S + study_id,
                spec=study_document(spec_of(name)),
                machine=machine,
                versions={"autotune": "0.1.0", "python": "3.11.9", "onnxruntime": "1.23.0"},
                model_digest="5e" * 32,
                model_source="random:distilbert-base",
            )
            connection.execute(insert(studies), study_row(record) | {"id": study_id})
            count = LARGE_TRIALS if name == LARGE else TRIALS
            connection.execute(insert(trials), [trial_row(record, study_id) for record in built(name, count)])
        for index in range(plan_count):
            study_id = 1 + index % len(names)
            plan = build_plan(id=f"{names[study_id - 1]}-{index:06x}", created_s=BEGAN_S + index)
            connection.execute(insert(plans), plan_row(plan, study_id))


def built(study: str, count: int) -> Iterator[TrialRecord]:
    """Give trials of two instances with fifty requests each; every twentieth failed."""
    chance = random.Random(study)
    for number in range(count):
        seconds = chance.uniform(0.05, 0.5)
        result: TrialResult = build_measurement(instances=2, requests=50, request_s=seconds)
        failed = number % 20 == 19
        if failed:
            result = Failure(FailureKind.CRASH, REASON, "Traceback (most recent call last):\n" * 20)
        yield TrialRecord(
            study=study,
            number=number,
            configuration=configuration(number, chance),
            baseline=number == 0,
            started_s=BEGAN_S + 10.0 * number,
            ended_s=BEGAN_S + 10.0 * number + 9.0,
            result=result,
            score=None if failed else 16 / seconds,
            violations={} if failed else {"latency_p99_s": seconds / 0.4 - 1},
            host="a-host",
        )


def configuration(number: int, chance: random.Random) -> Configuration:
    """Give the baseline first, then others."""
    first = Configuration(1, 0, "unpinned", "0-1", False, "pytorch", "fp32")
    if number == 0:
        return first
    return replace(
        first,
        instances=chance.choice((1, 2, 4, 8, 16)),
        threads_per_instance=chance.choice((1, 2, 3, 4, 8)),
        placement=chance.choice(("close", "spread", "per-node")),
        smt=chance.random() < 0.5,
        backend=chance.choice(("pytorch", "onnxruntime", "openvino")),
        precision=chance.choice(("fp32", "bf16", "int8-dynamic")),
        knobs=chance.choice(("", "allocator=jemalloc", "spinning=off")),
    )


def queue_up(store: StudyStore, count: int) -> None:
    """Let so many jobs wait for this machine, behind one that this process claims to run."""
    queue, machine = JobQueue(store), socket.gethostname()
    for index in range(count + 1):
        queue.enqueue(
            tune_request(TuneValues(study=spec_of(f"waiting-{index}")), machine, asked_by="a-token")
        )
    if queue.begin(machine, holder_of(os.getpid())) is None:
        raise RuntimeError("another job runs there")


def run_down(store: StudyStore, count: int) -> str:
    """Keep a job that has ended after so many trials, with what was told of it; give its id."""
    queue = JobQueue(store)
    holder = JobHolder(RAN, "a-boot", 1, 1)
    asked, _ = queue.enqueue(tune_request(TuneValues(study=spec_of(LARGE)), RAN))
    if queue.begin(RAN, holder) is None:
        raise RuntimeError("another job runs there")
    told = [
        {"job_id": asked.id, "number": number, "told_s": BEGAN_S + number, "event": line}
        for number, line in enumerate(lines(count), start=1)
    ]
    with store.transaction() as connection:
        connection.execute(insert(events), told)
    queue.end(asked.id, holder, "done")
    return asked.id


def lines(count: int) -> Iterator[str]:
    """Give what is told of a study of so many trials, as lines of JSON."""
    for trial in built(LARGE, count):
        left_s = 10.0 * (count - trial.number)
        progress = Progress(trial.number, count, 0, 40.0, "40.0 samples/s", 1.2, left_s)
        words = str(trial.configuration)
        yield to_json(TrialBegan(trial.number, words, progress, trial.host))
        outcome = Summary(f"{trial.score or 0:.1f} samples/s", trial.score)
        ended = TrialEnded(
            number=trial.number,
            name="",
            configuration=words,
            outcome=outcome,
            excesses=(),
            half_width=0.01,
            progress=progress,
            host=trial.host,
        )
        yield to_json(ended)
