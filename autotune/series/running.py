"""Measures a series: every point in fresh processes, in rounds of random order, every run kept at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.backends.registry import package_versions
from autotune.bench.here import machine_here
from autotune.bench.host import releasing
from autotune.bench.local import LocalHost
from autotune.bench.orders import Orders
from autotune.errors import (
    CacheError,
    ChangedMachineError,
    PlacementError,
    PreparationError,
    StudyError,
    UnsupportedError,
)
from autotune.events import Emit, FilesRead, RunEnded, Summary, unheard
from autotune.jobs.reviving import prepared_commands, refusal_of
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.measurement.measurement import TrialResult
from autotune.measurement.statistics import throughput_sps
from autotune.model.stored_study import study_document
from autotune.model.texts.files_read import FileRead, file_in_words
from autotune.preflight.setup import Setup, set_up
from autotune.preflight.survey import survey
from autotune.preflight.versions import relevant_versions
from autotune.preparation.streams import STREAM_PACKAGES
from autotune.rounds.running import Entrant, Journal, Run, Scoring, run_rounds
from autotune.search.estimate import PREPARATION_S, START_UP_S
from autotune.series.candidates import Candidate, candidates
from autotune.series.file import SeriesFile
from autotune.series.lineup import Lineup
from autotune.series.record import (
    PointRecord,
    RunRecord,
    SeriesRecord,
    failure_of,
    read_record,
    refuse_other,
    run_record,
    write_record,
)
from autotune.series.result import RESULT, SeriesResult, check_target, conclude, only_one, write_pages
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import answering
from autotune.stop import Stop, Stopped
from autotune.units import format_latency, format_throughput

KEPT = (
    "put it back as it was, and run the same command again: every run that ended before is kept. "
    "Where it stays as it is, measure all anew (--fresh) or into another folder (--output)"
)
"""What to do when a machine has changed."""


@dataclass(frozen=True)
class SeriesOutlook:
    """What a series would measure here.

    Attributes:
        rounds: of each point.
        estimate_s: about how long it takes, from an empty cache.
    """

    points: tuple[Candidate, ...]
    rounds: int
    estimate_s: float


@dataclass(frozen=True)
class _Ready:
    """A point with what measures it."""

    name: str
    configuration: Configuration
    host: LocalHost
    orders: Orders


@dataclass
class _Running:
    """A series under way.

    Attributes:
        folder: where its result is kept.
        points: by name.
        record: with every run so far.
        sitting: of the runs to come.
    """

    folder: Path
    points: Mapping[str, _Ready]
    emit: Emit
    stop: Stop
    record: SeriesRecord
    sitting: int

    def measure(self, entrant: Entrant) -> TrialResult:
        """Launch, measure and end a point's processes.

        Raises:
            Stopped: as `stop` says.
        """
        self.stop.heed()
        point = self.points[entrant.name]
        return point.orders.run_confirming(point.host, entrant)

    def keep(self, run: Run) -> None:
        """Write the record with this run, in the place of an earlier one of its point in its round."""
        new = run_record(run, self.sitting)
        others = (one for one in self.record.runs if (one.round, one.point) != (new.round, new.point))
        self.record = self.record.model_copy(update={"runs": (*others, new)})
        write_record(self.record, self.folder / RESULT)
        self.emit(_run_ended(new, run.entrant.configuration))


def _run_ended(run: RunRecord, configuration: Configuration) -> RunEnded:
    """Say what a run of a point gave: throughput and median, whatever its study's objective is."""
    outcome = Summary("")
    if run.failure is not None:
        kind, reason = run.failure.kind, run.failure.reason
        outcome = Summary(f"{kind}: {reason}", failure=str(kind), reason=reason)
    elif run.figures is not None:
        figures = run.figures
        in_words = f"{format_throughput(figures.throughput_sps)}, median {format_latency(figures.median_s)}"
        outcome = Summary(in_words, figures.throughput_sps)
    return RunEnded(run.round, run.point, str(configuration), outcome)


def look_ahead(file: SeriesFile, *, rounds: int | None = None) -> SeriesOutlook:
    """What would be measured here, and for how long; nothing is prepared, downloaded or written.

    Raises:
        BackendError: a point names an engine that nobody knows.
    """
    found, count = candidates(file, machine_here()), rounds or file.series.rounds
    measured = [one for one in found if one.configuration is not None]
    prepared = {(one.spec.models, one.configuration.prepared) for one in measured if one.configuration}
    launches_s = sum(
        START_UP_S + one.spec.measure.warmup_s + one.spec.measure.blocks * one.spec.measure.block_s
        for one in measured
    )
    return SeriesOutlook(found, count, launches_s * count + len(prepared) * PREPARATION_S)


def run_series(
    file: SeriesFile,
    folder: Path,
    *,
    rounds: int | None = None,
    fresh: bool = False,
    offline: bool = False,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> SeriesResult:
    """Measure what is not measured yet, and write the result into a folder.

    A result that is there is gone on with: rounds that it lacks are added, and those that were interrupted or
    disturbed are measured again, whole; points that broke in preparation are tried again.

    Args:
        rounds: of each point; None = as the series says.
        fresh: measure everything anew, whatever is there.
        offline: never download a model.
        emit: is told of progress between runs.
        stop: ends it before its next run; what there is, is written and given, and says so.

    Raises:
        StudyError: nothing can be measured here; `ResumeError` where what is in the folder was measured on
            another machine, with other versions or of other points.
        ChangedMachineError: the machine or a version changed meanwhile; every run that ended before is kept.
        ExportError: the folder cannot be written, or holds files of somebody else.
        AutotuneError: a model or a file of the study is not there; before anything is measured.
        Stopped: as `stop` says, before anything was measured.
    """
    told = stop or Stop()
    check_target(folder)
    machine = machine_here()
    found = candidates(file, machine)
    ready = _set_up(found, file, machine, emit, told, offline=offline)
    asked = _record(file, machine, found, ready, rounds or file.series.rounds)
    _refuse_nothing(asked)
    with only_one(folder):
        kept = None if fresh else read_record(folder / RESULT)
        if kept is not None:
            refuse_other(kept, asked, folder / RESULT)
            asked = _gone_on(kept, asked)
            if not asked.rounds_left:
                return _written(file, asked, folder)
        with releasing([point.host for point in ready], told):
            entrants, record = _prepare(ready, asked, told)
            _refuse_nothing(record)
            points = {point.name: point for point in ready}
            sitting = 1 + max((run.sitting for run in record.runs), default=0)
            return _run(file, _Running(folder, points, emit, told, record, sitting), entrants)


def _run(file: SeriesFile, running: _Running, entrants: Sequence[Entrant]) -> SeriesResult:
    """Run the rounds; what there is, is written however they end."""
    record = running.record
    lineup = Lineup(
        [entrant.name for entrant in entrants],
        rounds=record.rounds,
        seed=file.studies[0].seed,
        done=set(range(1, record.rounds + 1)).difference(record.rounds_left),
        failed=[point.name for point in record.points if failure_of(record.of(point.name))],
    )
    write_record(record, running.folder / RESULT)
    try:
        run_rounds(
            lineup,
            entrants,
            measure=running.measure,
            scoring=Scoring(throughput_sps),
            journal=Journal(running.keep),
            emit=running.emit,
        )
    except Stopped:
        return replace(_written(file, running.record, running.folder), stopped=True)
    except ChangedMachineError as error:
        _written(file, running.record, running.folder)
        error.remedy = KEPT
        raise
    return _written(file, running.record, running.folder)


def _written(file: SeriesFile, record: SeriesRecord, folder: Path) -> SeriesResult:
    """Write all that follows from a record, and the record itself."""
    result = conclude(file.series, record)
    write_record(record, folder / RESULT)
    write_pages(result, folder)
    return result


def _set_up(
    found: Sequence[Candidate],
    file: SeriesFile,
    machine: Machine,
    emit: Emit,
    stop: Stop,
    *,
    offline: bool,
) -> tuple[_Ready, ...]:
    """Find the models and files of the points that can be measured."""
    ready: list[_Ready] = []
    told: set[FileRead] = set()
    for one in found:
        if one.configuration is not None:
            setup = set_up(survey(one.spec, machine), base=file.folder, offline=offline)
            emit(FilesRead(tuple(file_in_words(read) for read in setup.found.files if read not in told)))
            told.update(setup.found.files)
            host = ready[0].host.serving(setup) if ready else LocalHost(setup, emit, stop)
            ready.append(_Ready(one.name, one.configuration, host, Orders(setup.spec.name)))
    return tuple(ready)


def _record(
    file: SeriesFile, machine: Machine, found: Sequence[Candidate], ready: Sequence[_Ready], rounds: int
) -> SeriesRecord:
    setups = {one.name: one.host.setup for one in ready}
    return SeriesRecord(
        name=file.name,
        created_s=time.time(),
        rounds=rounds,
        series=file.series.model_dump(mode="json"),
        machine=machine_document(machine),
        versions=_versions(ready),
        points=tuple(_point(one, setups.get(one.name)) for one in found),
    )


def _versions(ready: Sequence[_Ready]) -> dict[str, str]:
    """Of all that decides what is measured at any point; where requests differ, of what makes them too."""
    streams = any(one.host.setup.spec.problem.is_stream for one in ready)
    return {
        **relevant_versions({one.configuration.backend for one in ready}),
        **(package_versions(STREAM_PACKAGES) if streams else {}),
    }


def _point(one: Candidate, setup: Setup | None) -> PointRecord:
    spec, digest = one.spec, ""
    if setup is not None and one.configuration is not None:
        spec, digest = setup.found.stored, setup.variant(one.configuration).model.digest
    return PointRecord(
        name=one.name,
        line=one.line,
        study=study_document(spec),
        configuration=one.configuration,
        cores=one.cores,
        model_digest=digest,
        skipped=one.skipped,
    )


def _gone_on(kept: SeriesRecord, asked: SeriesRecord) -> SeriesRecord:
    """What is asked, with the runs that there are, and without the points that turned out not to run."""
    found = {"created_s": kept.created_s, "runs": kept.runs}
    lasting = {point.name: point.skipped for point in kept.points if not point.may_pass}
    return asked.model_copy(update=found).skipping(lasting)


def _prepare(
    ready: Sequence[_Ready], record: SeriesRecord, stop: Stop
) -> tuple[tuple[Entrant, ...], SeriesRecord]:
    """What starts each point, and the record without those that cannot be started.

    Raises:
        CacheError: the cache is unusable, which says nothing of a point.
        Stopped: as `stop` says.
    """
    entrants, skipped, may_pass = [], {}, set()
    for one in ready:
        stop.heed()
        try:
            commands = prepared_commands(one.configuration, one.host)
            reason = _refusal(one)
        except CacheError:
            raise
        except (UnsupportedError, PlacementError) as error:
            reason = error.in_one_line
        except PreparationError as error:
            reason = error.in_one_line
            may_pass.add(one.name)
        skipped[one.name] = reason
        if not reason:
            entrants.append(Entrant(one.name, "finalist", one.configuration, 0, commands))
    return tuple(entrants), record.skipping(skipped, may_pass)


def _refusal(one: _Ready) -> str:
    """Why a point's answers are not those of its model; those of the reference's own engine are."""
    if answer_alike(one.configuration, one.host.setup.space.baseline):
        return ""
    return refusal_of(one.configuration, one.host)


def answer_alike(one: Configuration, other: Configuration) -> bool:
    """Whether two configurations answer the same by construction, so that nothing has to be compared."""
    return one.prepared == other.prepared and answering(one.knobs) == answering(other.knobs)


def _refuse_nothing(record: SeriesRecord) -> None:
    """Refuse a series of which nothing can be measured.

    Raises:
        StudyError: with the reasons.
    """
    if all(point.skipped for point in record.points):
        reasons = dict.fromkeys(point.skipped for point in record.points)
        raise StudyError(
            f"no point of the series can be measured here: {'; '.join(reasons)}",
            remedy="install the engines that it needs (`autotune engines`), or use a machine with more cores",
        )
