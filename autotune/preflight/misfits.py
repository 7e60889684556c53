"""Refuses requests that a study's models do not take, and gives the study with what was found of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from autotune.backends.registry import package_versions
from autotune.errors import StudyFileError
from autotune.model.folders.positions import longest_of_folder
from autotune.model.found import FoundStudy, find_study
from autotune.model.inputs import refuse_longer
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import StoredStudy
from autotune.model.study_inputs import check_inputs_take
from autotune.model.variants import naming
from autotune.preparation.evaluation import METRIC_PACKAGES, require_metric
from autotune.preparation.files_read import read_files
from autotune.search.space import SearchSpace
from autotune.spec.known_knobs import known_knobs
from autotune.spec.model_source import max_tokens
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec


def check_models(spec: StudySpec, models: Mapping[str, ResolvedModel], base: Path) -> FoundStudy:
    """Refuse what a model does not take, and give the study with its models and what its files hold.

    Args:
        models: by variant; in a dry run not all of them may be here.
        base: folder that relative paths start from (the study file's).

    Raises:
        ModelError: the requests are not of a shape that a model takes; see `refuse_misfit`. Or a tokenizer is
            none, or leaves no room for text.
        StudyFileError: likewise; or a file is wrong, or a model has no tokenizer to read it with, or what
            computes the metric is not installed.
    """
    require_metric(spec.quality.metric, package_versions(METRIC_PACKAGES))
    found = find_study(spec, models, base)
    for variant, model in models.items():
        with naming(variant):
            refuse_misfit(model, found.stored)
    return replace(found, files=read_files(found.stored, models, base))


def unsplit(space: SearchSpace, spec: StudySpec, models: Iterable[ResolvedModel]) -> SearchSpace:
    """Leave the knobs that split batches out of the space, where a model takes whole ones alone.

    Raises:
        StudyFileError: the study lists one of them.
    """
    whole = [model for model in models if model.inputs is not None and model.inputs.batch_size is not None]
    if not whole:
        return space
    splitting = [name for name, knob in known_knobs().items() if knob.splits]
    listed = () if isinstance(spec.search.knobs, str) else spec.search.knobs
    if refused := next((name for name in splitting if name in listed), None):
        raise StudyFileError(
            f"{whole[0].source} takes whole batches alone: they cannot be split",
            path=f"search.knobs.{refused}",
            remedy="leave it out, or export the model with its first dimension left free",
        )
    return replace(space, knobs=space.knobs.without(splitting))


def refuse_misfit(model: ResolvedModel, study: StoredStudy) -> None:
    """Refuse requests that the model does not take.

    Raises:
        ModelError: they are longer than its longest, or not of the only shape that it was exported for.
        StudyFileError: they are split over instances, and the model takes whole ones alone.
    """
    problem = study.problem
    place = ".".join(problem.longest_place)
    if model.inputs is not None:
        check_inputs_take(model.inputs, problem)
        is_split = traits_of(study.scenario).is_split and study.search.instances != (1,)
        if model.inputs.batch_size is not None and problem.batch_size > 1 and is_split:
            raise StudyFileError(
                f"{model.source} takes {problem.batch_size} sequences at a time: a request cannot be split",
                path="search.instances",
                remedy="write `instances: 1`, or export the model with its first dimension left free",
            )
    elif problem.longest is not None and not model.traits.has_files:
        refuse_longer(max_tokens(model.source), problem.longest, place)
    elif problem.longest is not None and model.path is not None and not model.traits.is_formula:
        refuse_longer(longest_of_folder(model.path), problem.longest, place)
