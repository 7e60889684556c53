"""What `autotune tune --dry-run` prints: what would be tried here, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autotune.cli import output
from autotune.cli.knobs import knob_choices, knob_lines
from autotune.errors import ModelError
from autotune.model.assessment import UNCOMPARED, limits_in_words
from autotune.model.hub.fetch import offline_reason
from autotune.model.sources import ResolvedModel
from autotune.model.texts.files_read import FileRead, file_in_words, files_document
from autotune.model.variants import beyond, find_model, notes_of, refuse_twins
from autotune.preflight.misfits import check_models
from autotune.preflight.survey import Survey, survey
from autotune.search.estimate import estimated_s, estimated_trials
from autotune.search.serving import Serving, servings
from autotune.spec.problem import problem_in_words
from autotune.spec.study import StudySpec
from autotune.units import format_duration


def print_outlook(spec: StudySpec, *, base: Path, offline: bool, as_json: bool) -> None:
    """Check the study and print its space and an estimate of its time; nothing is measured or stored."""
    surveyed = survey(spec)
    models, absent = _models_here(spec, base=base, offline=offline)
    found = check_models(spec, models, base)
    files, served = found.files, found.served
    surveyed = surveyed.weighed(found)
    notes = [f"not searched: {reason}" for reason in surveyed.left_out]
    notes += [f"warning: {warning}" for warning in surveyed.warnings]
    notes += [f"warning: {note}" for model in models.values() for note in beyond(model, found.stored.problem)]
    notes += [*notes_of(models.values()), *absent, *_comparison_notes(spec)]
    if as_json:
        output.result_json(outlook_document(surveyed, served, files, notes))
    else:
        output.result_text("\n".join(outlook_lines(surveyed, served, files, notes)))


def outlook_document(
    surveyed: Survey, served: Sequence[str], files: Sequence[FileRead], notes: list[str]
) -> dict[str, object]:
    """The dry run for machines."""
    spec, space = surveyed.spec, surveyed.space
    return {
        "study": spec.name,
        "models": list(spec.models),
        "served": list(served),
        "engines": {name: list(precisions) for name, precisions in surveyed.engines.items()},
        "configurations_before_symmetry": space.size_before_symmetry,
        "configurations": len(space.configurations),
        "baseline": space.baseline.parameters(),
        "recipes": [recipe.parameters() for recipe in space.recipes],
        "knobs": knob_choices(spec, space.knobs),
        "requests": problem_in_words(spec.problem),
        "servings": [{"padding": padding, "batching": batching} for padding, batching in _servings(surveyed)],
        "files": files_document(files),
        "quality": _quality(spec),
        "trials_at_most": estimated_trials(spec, space),
        "rounds_at_most": spec.confirm.rounds,
        "estimate_s": estimated_s(spec, space),
        "notes": notes,
    }


def outlook_lines(
    surveyed: Survey, served: Sequence[str], files: Sequence[FileRead], notes: list[str]
) -> list[str]:
    """The dry run for people."""
    spec, space = surveyed.spec, surveyed.space
    engines = "; ".join(f"{name} {', '.join(precisions)}" for name, precisions in surveyed.engines.items())
    trials = estimated_trials(spec, space)
    return [
        f"study {spec.name}: {spec.objective.kind} of {', '.join(spec.models)}, "
        f"{problem_in_words(spec.problem)}, {spec.scenario}",
        *served,
        f"engines: {engines}",
        f"space: {space.size_before_symmetry} configurations, {len(space.configurations)} distinct ones",
        f"baseline: {space.baseline}",
        *(f"recipe: {recipe}" for recipe in space.recipes),
        *knob_lines(spec, space.knobs),
        *(f"requests: padding {padding}, batching {batching}" for padding, batching in _servings(surveyed)),
        *map(file_in_words, files),
        f"quality: {_quality(spec)}",
        f"estimate: at most {trials} trials and {spec.confirm.rounds} rounds of confirmation in about "
        f"{format_duration(estimated_s(spec, space))}",
        *notes,
    ]


def _servings(surveyed: Survey) -> tuple[Serving, ...]:
    """Ways to put sequences of different lengths together; none where they are all alike."""
    return servings(surveyed.spec, surveyed.unmasked) if surveyed.spec.problem.is_stream else ()


def _quality(spec: StudySpec) -> str:
    texts = spec.quality.texts or spec.problem.texts
    return limits_in_words(spec.quality.model_copy(update={"texts": texts}))


def _models_here(spec: StudySpec, *, base: Path, offline: bool) -> tuple[dict[str, ResolvedModel], list[str]]:
    """The models that are on this machine, by variant, and what there is to say of the others.

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
            if offline or offline_reason() or not source.startswith("hf:"):
                raise
            absent.append(f"the model {source} is not in the hub's cache and would be downloaded first")
    refuse_twins(here)
    return here, absent


def _comparison_notes(spec: StudySpec) -> list[str]:
    """How several models are compared with each other."""
    if len(spec.models) < 2:
        return []
    if spec.quality.data is None:
        return [UNCOMPARED]
    return [f"{spec.quality.metric} of every model is compared with that of {spec.models[0]} at fp32"]
