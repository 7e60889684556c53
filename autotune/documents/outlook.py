"""What a study would do here, as a document."""

from __future__ import annotations

from typing import Any, Final

from autotune.jobs.outlook import Outlook
from autotune.model.texts.files_read import files_document
from autotune.spec.problem import problem_in_words

SCHEMA: Final = "autotune.outlook/1"


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """Write a dry run as one JSON document."""
    spec, space = outlook.spec, outlook.space
    return {
        "schema": SCHEMA,
        "study": spec.name,
        "models": list(spec.models),
        "served": list(outlook.served),
        "engines": {name: list(precisions) for name, precisions in outlook.engines.items()},
        "configurations_before_symmetry": space.size_before_symmetry,
        "configurations": len(space.configurations),
        "baseline": space.baseline.parameters(),
        "recipes": [recipe.parameters() for recipe in space.recipes],
        "knobs": outlook.knobs,
        "requests": problem_in_words(spec.problem),
        "servings": [{"padding": padding, "batching": batching} for padding, batching in outlook.servings],
        "files": files_document(outlook.files),
        "quality": outlook.quality,
        "trials_at_most": outlook.trials,
        "rounds_at_most": spec.confirm.rounds,
        "estimate_s": outlook.estimate_s,
        "notes": list(outlook.notes),
    }
