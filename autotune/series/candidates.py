"""The points of a series on this machine: which can be measured, and each one's study narrowed to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autotune.backends.availability import compiling_engines, require_engine
from autotune.backends.registry import get_backend
from autotune.errors import BackendError, PlacementError, StudyFileError
from autotune.machine.machine import Machine
from autotune.placement.command import batch_shares
from autotune.placement.place import place
from autotune.search.knobs import require_knobs
from autotune.search.serving import compilable_in_words, servings
from autotune.series.file import SeriesFile
from autotune.series.fitting import Misfit, fit
from autotune.series.values import PointLayout
from autotune.spec.configuration import Configuration
from autotune.spec.knobs import parse_knobs
from autotune.spec.model_source import kind_of
from autotune.spec.study import StudySpec


@dataclass(frozen=True)
class Candidate:
    """A point on this machine.

    Attributes:
        spec: its study; of a point that is measured, with nothing left to search.
        configuration: None where it cannot be measured here.
        cores: that it is given; its instances may leave some of them idle.
        skipped: why it is not measured; empty where it is.
    """

    name: str
    line: str
    spec: StudySpec
    configuration: Configuration | None
    cores: int = 0
    skipped: str = ""


def candidates(file: SeriesFile, machine: Machine) -> tuple[Candidate, ...]:
    """Every point of the series, in order; nothing is prepared.

    Raises:
        BackendError: a point names an engine that nobody knows.
        StudyFileError: requests of one sequence are to be sorted.
    """
    series = file.series
    return tuple(
        _candidate(point.name, point.line, series.layout(point), spec, machine)
        for point, spec in zip(series.points, file.studies, strict=True)
    )


def _candidate(name: str, line: str, layout: PointLayout, spec: StudySpec, machine: Machine) -> Candidate:
    get_backend(layout.engine)
    fitted = fit(layout, machine)
    if isinstance(fitted, Misfit):
        return Candidate(name, line, spec, None, skipped=fitted.reason)
    narrowed = _narrowed(spec, layout, fitted.configuration)
    if refusal := _refusal(fitted.configuration, narrowed, machine):
        return Candidate(name, line, spec, None, skipped=refusal)
    padding, batching = servings(narrowed)[0]
    chosen = replace(fitted.configuration, padding=padding, batching=batching)
    return Candidate(name, line, narrowed, chosen, fitted.cores)


def _refusal(configuration: Configuration, spec: StudySpec, machine: Machine) -> str:
    """Why this machine, or the engine as it is here, cannot run a configuration; empty where they can."""
    engine = configuration.backend
    try:
        require_engine(configuration, spec, machine)
        place(configuration, machine)
        batch_shares(spec.problem.batch_size, configuration.instances, spec.scenario)
        require_knobs(configuration, kind_of(spec.source_of(configuration)), machine.isa)
    except (BackendError, PlacementError, StudyFileError) as error:
        return error.problem
    if compiling_engines([engine]):
        return compilable_in_words(engine, spec) or ""
    return ""


def _narrowed(spec: StudySpec, layout: PointLayout, chosen: Configuration) -> StudySpec:
    """The study whose space holds this configuration alone, before its knobs are turned."""
    turned = {name: (value,) for name, value in parse_knobs(chosen.knobs).items()}
    search = spec.search.model_copy(
        update={
            "backends": (chosen.backend,),
            "precisions": (chosen.precision,),
            "instances": (chosen.instances,),
            "threads": (chosen.threads_per_instance,),
            "placements": (chosen.placement,),
            "sockets": (chosen.sockets,),
            "smt": (chosen.smt,),
            "cores": (chosen.cores,) if chosen.cores else "auto",
            "knobs": turned or "none",
            "padding": (layout.padding or "max",),
            "batching": (layout.batching or "arrival",),
        }
    )
    return spec.model_copy(update={"search": search})
