"""The dry run: what `tune` would try here, and for how long; nothing is measured, downloaded or stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autotune.backends.availability import Engines
from autotune.bench.here import machine_here
from autotune.errors import ModelError
from autotune.model.assessment import UNCOMPARED, limits_in_words
from autotune.model.hub.fetch import offline_reason
from autotune.model.sources import ResolvedModel
from autotune.model.texts.files_read import FileRead
from autotune.model.variants import beyond, find_model, notes_of, refuse_twins
from autotune.preflight.misfits import check_models
from autotune.preflight.survey import Survey, survey
from autotune.search.estimate import estimated_s, estimated_trials
from autotune.search.knobs import KnobSpace
from autotune.search.second_stage import second_stage
from autotune.search.serving import Serving, servings
from autotune.search.space import SearchSpace
from autotune.spec.model_source import model_kind
from autotune.spec.priced import priced
from autotune.spec.study import StudySpec

KnobChoices = dict[str, dict[str, list[str]]]
"""By engine and precision, knobs and their values."""


@dataclass(frozen=True)
class Outlook:
    """What a study would do on this machine.

    Attributes:
        engines: precisions by backend that can run a model here.
        space: what is searched, with its baseline.
        served: what is served beside the models' encoders.
        files: what was read of those that the study names.
        servings: ways to put sequences of different lengths together; none where they are all alike.
        quality: the limits on answers, in words.
        knobs: that the second stage turns; empty where there is none.
        why_no_knobs: why there is none; empty where there is one.
        trials: at most.
        estimate_s: about how long search and confirmation take at most.
        notes: what is not searched and why, warnings, and models that would be downloaded first.
    """

    spec: StudySpec
    engines: Engines
    space: SearchSpace
    served: tuple[str, ...]
    files: tuple[FileRead, ...]
    servings: tuple[Serving, ...]
    quality: str
    knobs: KnobChoices
    why_no_knobs: str
    trials: int
    estimate_s: float
    notes: tuple[str, ...]


def outlook(spec: StudySpec, *, base: Path, offline: bool, prices: Path | None = None) -> Outlook:
    """Check a study and say what it would try, and for how long.

    Args:
        base: folder that relative paths of the study start from.
        offline: a real run would not download either.
        prices: the table of prices where the study names a machine type and no table.

    Raises:
        AutotuneError: the study would be refused.
    """
    spec = priced(spec, base=base, prices=prices)
    surveyed = survey(spec, machine_here())
    models, absent = _models_here(spec, base=base, offline=offline)
    found = check_models(spec, models, base)
    surveyed = surveyed.weighed(found)
    too_long = (note for model in models.values() for note in beyond(model, found.stored.problem))
    return _outlook(
        surveyed,
        served=tuple(found.served),
        files=tuple(found.files),
        notes=(
            *(f"not searched: {reason}" for reason in surveyed.left_out),
            *(f"warning: {warning}" for warning in (*surveyed.warnings, *too_long)),
            *notes_of(models.values()),
            *absent,
            *_comparison_notes(spec),
        ),
    )


def _outlook(
    surveyed: Survey, *, served: tuple[str, ...], files: tuple[FileRead, ...], notes: tuple[str, ...]
) -> Outlook:
    spec, space = surveyed.spec, surveyed.space
    texts = spec.quality.texts or spec.problem.texts
    return Outlook(
        spec=spec,
        engines=surveyed.engines,
        space=space,
        served=served,
        files=files,
        servings=servings(spec, surveyed.unmasked) if spec.problem.is_stream else (),
        quality=limits_in_words(spec.quality.model_copy(update={"texts": texts})),
        knobs=_knob_choices(spec, space.knobs),
        why_no_knobs=_why_no_knobs(spec, space.knobs),
        trials=estimated_trials(spec, space),
        estimate_s=estimated_s(spec, space),
        notes=notes,
    )


def _models_here(spec: StudySpec, *, base: Path, offline: bool) -> tuple[dict[str, ResolvedModel], list[str]]:
    """Find the models that are on this machine, by variant, and say which would be downloaded.

    They are looked for and never downloaded.

    Raises:
        ModelError: one is not here, and a real run would not download it either.
        StudyFileError: two of them are the same model.
    """
    here: dict[str, ResolvedModel] = {}
    absent = []
    for variant, source in zip(spec.variants, spec.models, strict=True):
        try:
            here[variant] = find_model(spec, variant, base=base, offline=True)
        except ModelError:
            if offline or offline_reason() or not model_kind(source).is_downloaded:
                raise
            absent.append(f"the model {source} is not in the hub's cache and would be downloaded first")
    refuse_twins(here)
    return here, absent


def _comparison_notes(spec: StudySpec) -> list[str]:
    """Say how several models are compared with each other."""
    if len(spec.models) < 2:
        return []
    if spec.quality.data is None:
        return [UNCOMPARED]
    return [f"{spec.quality.metric} of every model is compared with that of {spec.models[0]} at fp32"]


def _knob_choices(spec: StudySpec, knobs: KnobSpace) -> KnobChoices:
    """List the knobs that the second stage turns, and their values; empty without one."""
    if second_stage(spec, knobs) is None:
        return {}
    return {
        f"{backend} {precision}": {name: list(values) for name, values in choices.items()}
        for (backend, precision), choices in knobs.choices.items()
        if choices
    }


def _why_no_knobs(spec: StudySpec, knobs: KnobSpace) -> str:
    if second_stage(spec, knobs) is not None:
        return ""
    if spec.search.knobs == "none":
        return "the study says so"
    if not any(knobs.choices.values()):
        return "no knob can be turned here"
    return "the budget is too small for one; list knobs in search.knobs to have one all the same"
