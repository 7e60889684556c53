"""What a series has measured, as a versioned JSON document: every run's figures, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, model_validator

from autotune.errors import ExportError, ResumeError, StudyError
from autotune.exporters.write import replace_file
from autotune.files import write_remedy
from autotune.machine.document import machine_differences
from autotune.measurement.codec import is_of_preparing
from autotune.measurement.measurement import Conditions, Failure, FailureKind, Measurement
from autotune.measurement.outcomes import TrialOutcome
from autotune.measurement.statistics import hit_rate, latencies_s, memory_bytes, throughput_sps
from autotune.plan.document import UnixTime
from autotune.plan.evidence import Bytes, DocumentPart, ElapsedSeconds, Positive, StrictConfiguration
from autotune.plan.histogram import latency_histogram
from autotune.preflight.versions import version_differences
from autotune.rounds.running import Run
from autotune.search.resume import mapping_differences, study_differences
from autotune.statistics.quantiles import percentile_of

SCHEMA: Final = "autotune.series/1"

MAX_BYTES = 2**28


class RunFigures(DocumentPart):
    """What one run gave.

    Attributes:
        throughput_sps: samples per second, summed over instances.
        median_s: of all latencies.
        requests: how many latencies there are.
        hit_rate: share of the sequences whose answer came from a cache; None where there is none.
        served_within_s: `server`: what the limited percentile is shown not to exceed; None elsewhere.
        histogram: of all latencies in microseconds, an HdrHistogram in its compressed base64 form.
        memory_bytes: proportional set size, summed over instances.
        blocks, dropped: what the host did to each block that counts, and to those that were disturbed and
            measured again; without the names of other processes.
    """

    throughput_sps: Positive
    median_s: ElapsedSeconds
    requests: Annotated[int, Field(ge=1)]
    hit_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    served_within_s: ElapsedSeconds | None = None
    histogram: str
    memory_bytes: Bytes
    blocks: tuple[Conditions, ...]
    dropped: tuple[Conditions, ...]


class RunFailure(DocumentPart):
    """Why a run gave nothing."""

    kind: FailureKind
    reason: str


class RunRecord(DocumentPart):
    """One launch of a point.

    Attributes:
        round: from 1; position: in its order, from 0.
        started_s, ended_s: Unix time.
        figures: None where it failed.
        attempts: launches that it took; all but the last were disturbed.
        sitting: from 1; all runs of one call have the same.
    """

    point: str
    round: Annotated[int, Field(ge=1)]
    position: Annotated[int, Field(ge=0)]
    started_s: UnixTime
    ended_s: UnixTime
    figures: RunFigures | None
    failure: RunFailure | None
    attempts: Annotated[int, Field(ge=1)] = 1
    sitting: Annotated[int, Field(ge=1)] = 1

    @property
    def is_disturbed(self) -> bool:
        """Whether the host, and not the point, kept it from giving figures."""
        return self.failure is not None and self.failure.kind == FailureKind.DISTURBED


class PointRecord(DocumentPart):
    """A point as it is on this machine.

    Attributes:
        line: of the picture, that it lies on.
        study: the study file's values.
        configuration: None where the point does not fit here.
        cores: that it was given; 0 where it does not fit.
        model_digest: of its model's content; empty where nobody looked.
        skipped: why it is not measured; empty where it is.
        may_pass: whether that is no property of the point, so that it is worth another try.
    """

    name: str
    line: str
    study: dict[str, Any]
    configuration: StrictConfiguration | None
    cores: Annotated[int, Field(ge=0)]
    model_digest: str
    skipped: str
    may_pass: bool = False

    @model_validator(mode="before")
    @classmethod
    def _told_by_words(cls, document: Any) -> Any:
        """Of a record that was kept before it said so, tell by the reason whether it may pass."""
        if isinstance(document, dict) and "may_pass" not in document:
            return {**document, "may_pass": is_of_preparing(str(document.get("skipped", "")))}
        return document


class SeriesRecord(DocumentPart):
    """All of a series: what was asked, where it was measured, and every run.

    Attributes:
        name: the series'.
        created_s: Unix time at which the first run was about to begin.
        rounds: how many each point is to have.
        series: the series file's values.
        machine: what `autotune machine --json` prints.
        versions: of autotune, Python, kernel and every library that decides speed.
    """

    schema_: Literal["autotune.series/1"] = Field(SCHEMA, alias="schema")
    name: str
    created_s: UnixTime
    rounds: Annotated[int, Field(ge=1)]
    series: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    points: tuple[PointRecord, ...]
    runs: tuple[RunRecord, ...] = ()

    def of(self, point: str) -> tuple[RunRecord, ...]:
        """The runs of a point, in order."""
        return tuple(run for run in self.runs if run.point == point)

    def skipping(self, reasons: Mapping[str, str], may_pass: Collection[str] = ()) -> SeriesRecord:
        """The same, with the points that have a reason here marked as not measured.

        Args:
            may_pass: those of them that are worth another try.
        """
        points = tuple(
            point.model_copy(
                update={
                    "skipped": reasons.get(point.name, point.skipped),
                    "may_pass": point.name in may_pass,
                }
            )
            for point in self.points
        )
        return self.model_copy(update={"points": points})

    @property
    def is_complete(self) -> bool:
        """Whether every point that runs has been started in every round."""
        return len(self.full_rounds) == self.rounds

    @property
    def full_rounds(self) -> tuple[int, ...]:
        """The rounds in which every point that runs has been started."""
        running = self._running
        return tuple(
            number
            for number in range(1, self.rounds + 1)
            if {run.point for run in self._runs_of(number)} >= running
        )

    @property
    def rounds_left(self) -> tuple[int, ...]:
        """The rounds in which not every point that runs has figures, all of one sitting."""
        running = self._running
        return tuple(number for number in range(1, self.rounds + 1) if not self._is_whole(number, running))

    @property
    def _running(self) -> frozenset[str]:
        """Names of the points that run here, and do not fail."""
        there = (point.name for point in self.points if not point.skipped)
        return frozenset(name for name in there if failure_of(self.of(name)) is None)

    def _runs_of(self, number: int) -> list[RunRecord]:
        return [run for run in self.runs if run.round == number]

    def _is_whole(self, number: int, running: frozenset[str]) -> bool:
        runs = [run for run in self._runs_of(number) if run.point in running and run.figures is not None]
        return {run.point for run in runs} == running and len({run.sitting for run in runs}) <= 1


def failure_of(runs: Iterable[RunRecord]) -> RunFailure | None:
    """Why a point does not run at all; a disturbed run says nothing of it."""
    failures = (run.failure for run in runs)
    return next((one for one in failures if one and one.kind != FailureKind.DISTURBED), None)


def run_record(run: Run, sitting: int) -> RunRecord:
    """What is kept of a run."""
    result = run.result
    return RunRecord(
        point=run.entrant.name,
        round=run.round,
        position=run.position,
        started_s=run.started_s,
        ended_s=run.ended_s,
        figures=figures_of(result) if isinstance(result, Measurement) else None,
        failure=RunFailure(kind=result.kind, reason=result.reason) if isinstance(result, Failure) else None,
        attempts=run.attempts,
        sitting=sitting,
    )


def figures_of(measurement: Measurement) -> RunFigures:
    """Compute a run's figures from its raw values."""
    latencies = latencies_s(measurement)
    return RunFigures(
        throughput_sps=throughput_sps(measurement),
        median_s=percentile_of(latencies, 50),
        requests=len(latencies),
        hit_rate=hit_rate([measurement]) or None,
        served_within_s=TrialOutcome(measurement).promised_s,
        histogram=latency_histogram(latencies) or "",
        memory_bytes=memory_bytes(measurement),
        blocks=_nameless(block.conditions for block in measurement.blocks),
        dropped=_nameless(block.conditions for block in measurement.dropped),
    )


def _nameless(conditions: Iterable[Conditions | None]) -> tuple[Conditions, ...]:
    """Without what else runs on the machine: results are published."""
    return tuple(replace(one, culprits=()) for one in conditions if one is not None)


def format_record(record: SeriesRecord) -> str:
    """The document as text, with a line for each run."""
    document = record.model_dump(mode="json")
    runs = ",\n".join(f"  {json.dumps(run, allow_nan=False)}" for run in document.pop("runs"))
    head = json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}")
    return f'{head},\n "runs": [\n{runs}\n ]\n}}\n'


def write_record(record: SeriesRecord, file: Path) -> None:
    """Write the document in one step.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        replace_file(file, format_record(record).encode(), mode=0o644)
    except OSError as error:
        raise ExportError(
            f"{str(file)!r} cannot be written: {error.strerror}",
            remedy=write_remedy(error, "give another folder with -o"),
        ) from error


def read_record(file: Path) -> SeriesRecord | None:
    """Read a document; None where there is no file.

    Raises:
        StudyError: it is none, damaged, or of another version.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(file, str(error.strerror)) from error
    try:
        return SeriesRecord.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise _unusable(file, f"{path or 'it'}: {first['msg']}") from None


def _unusable(file: Path, fault: str) -> StudyError:
    return StudyError(
        f"{str(file)!r} is no result of a series that can be gone on with: {fault}",
        remedy="give another folder with -o, or --fresh to measure everything anew",
    )


def refuse_other(kept: SeriesRecord, asked: SeriesRecord, file: Path) -> None:
    """Make sure that what is kept may be gone on with.

    Raises:
        ResumeError: it is of another machine, other versions, or other points; names every difference.
    """
    found = [
        *machine_differences(kept.machine, asked.machine),
        *version_differences(kept.versions, asked.versions),
        *_point_differences(kept.points, asked.points),
    ]
    if found:
        raise ResumeError(
            f"{str(file)!r} was begun with something else: {'; '.join(found)}",
            remedy="give another folder with -o, or --fresh to measure everything anew",
        )


def _point_differences(kept: Iterable[PointRecord], asked: Iterable[PointRecord]) -> Iterator[str]:
    old, new = ({point.name: point for point in points} for points in (kept, asked))
    yield from mapping_differences(*(dict.fromkeys(points, "there") for points in (old, new)))
    for name in (name for name in old if name in new):
        yield from (f"{name}: {difference}" for difference in _differences(old[name], new[name]))


def _differences(old: PointRecord, new: PointRecord) -> list[str]:
    flat: list[Mapping[str, str]] = [
        {"runs as": str(point.configuration or point.skipped), "model": point.model_digest[:12]}
        for point in (old, new)
    ]
    return [*mapping_differences(*flat), *study_differences(old.study, new.study)]
