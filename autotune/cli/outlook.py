"""What `autotune tune --dry-run` prints: what would be tried here, and for how long."""

from __future__ import annotations

from pathlib import Path

from autotune.cli import output
from autotune.errors import ModelError
from autotune.model.assessment import limits_in_words
from autotune.model.hub import offline_reason
from autotune.model.sources import resolve_model
from autotune.model.study_inputs import check_study_inputs
from autotune.preflight import Survey, refuse_misfit, survey
from autotune.search.estimate import estimated_s, estimated_trials
from autotune.spec.study import StudySpec
from autotune.units import format_duration


def print_outlook(spec: StudySpec, *, base: Path, offline: bool, as_json: bool) -> None:
    """Check the study and print its space and an estimate of its time; nothing is measured or stored."""
    surveyed = survey(spec)
    notes = [f"not searched: {reason}" for reason in surveyed.left_out]
    notes += _model_notes(spec, base=base, offline=offline)
    if as_json:
        output.result_json(outlook_document(surveyed, notes))
    else:
        output.result_text("\n".join(outlook_lines(surveyed, notes)))


def outlook_document(surveyed: Survey, notes: list[str]) -> dict[str, object]:
    """The dry run for machines."""
    spec, space = surveyed.spec, surveyed.space
    return {
        "study": spec.name,
        "engines": {name: list(precisions) for name, precisions in surveyed.engines.items()},
        "configurations_before_symmetry": space.size_before_symmetry,
        "configurations": len(space.configurations),
        "baseline": space.baseline.parameters(),
        "recipes": [recipe.parameters() for recipe in space.recipes],
        "quality": limits_in_words(spec.quality),
        "trials_at_most": estimated_trials(spec, space),
        "rounds_at_most": spec.confirm.rounds,
        "estimate_s": estimated_s(spec, space),
        "notes": notes,
    }


def outlook_lines(surveyed: Survey, notes: list[str]) -> list[str]:
    """The dry run for people."""
    spec, space = surveyed.spec, surveyed.space
    engines = "; ".join(f"{name} {', '.join(precisions)}" for name, precisions in surveyed.engines.items())
    trials = estimated_trials(spec, space)
    return [
        f"study {spec.name}: {spec.objective.kind} of {spec.model}, "
        f"batch {spec.problem.batch_size} x {spec.problem.sequence_length} tokens, {spec.scenario}",
        f"engines: {engines}",
        f"space: {space.size_before_symmetry} configurations, {len(space.configurations)} distinct ones",
        f"baseline: {space.baseline}",
        *(f"recipe: {recipe}" for recipe in space.recipes),
        f"quality: {limits_in_words(spec.quality)}",
        f"estimate: at most {trials} trials and {spec.confirm.rounds} rounds of confirmation in about "
        f"{format_duration(estimated_s(spec, space))}",
        *notes,
    ]


def _model_notes(spec: StudySpec, *, base: Path, offline: bool) -> list[str]:
    """What there is to say of the model; it is looked for and never downloaded.

    Raises:
        ModelError: it is not here, and a real run would not download it either.
    """
    try:
        model = resolve_model(spec.model, base=base, seed=spec.seed, offline=True, arrays=spec.inputs)
    except ModelError:
        if offline or offline_reason() or not spec.model.startswith("hf:"):
            raise
        return [f"the model {spec.model} is not in the hub's cache and would be downloaded first"]
    refuse_misfit(model, spec)
    check_study_inputs(spec, model, base)
    return []
