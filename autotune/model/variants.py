"""The models of a study by variant: found on this machine, and what there is to say of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from autotune.errors import ModelError, StudyFileError
from autotune.model.size import least_activations, least_weights, multiplications
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.spec.problem import Problem
from autotune.spec.study import StudySpec


def find_models(spec: StudySpec, *, base: Path, offline: bool) -> dict[str, ResolvedModel]:
    """Find every model of a study, downloading those of the hub that are not here.

    Returns:
        By variant, in the order of `StudySpec.variants`.

    Raises:
        ModelError: one cannot be found; says which.
        StudyFileError: two of them are the same model.
    """
    found = {variant: find_model(spec, variant, base=base, offline=offline) for variant in spec.variants}
    refuse_twins(found)
    return found


def find_model(spec: StudySpec, variant: str, *, base: Path, offline: bool) -> ResolvedModel:
    """One of them; see `find_models`."""
    source = variant or spec.models[0]
    with naming(variant):
        return resolve_model(
            source, base=base, seed=spec.seed, offline=offline, arrays=spec.inputs, head=spec.head
        )


@contextmanager
def naming(variant: str) -> Iterator[None]:
    """Say of which variant an error of a model speaks, where there are several."""
    try:
        yield
    except ModelError as error:
        if not variant:
            raise
        raise ModelError(f"{variant}: {error.problem}", remedy=error.remedy) from error


def refuse_twins(models: Mapping[str, ResolvedModel]) -> None:
    """Refuse the same model under two names: their configurations would be the same, too.

    Raises:
        StudyFileError: it is there.
    """
    first: dict[str, str] = {}
    for index, (variant, model) in enumerate(models.items()):
        other = first.setdefault(model.digest, variant)
        if other != variant:
            raise StudyFileError(
                f"{variant} is the same model as {other}",
                path=f"model[{index}]",
                remedy="name each model once",
            )


def beyond(model: ResolvedModel, problem: Problem) -> tuple[str, ...]:
    """In what requests are longer than the model's folder would have texts, as sentences.

    Args:
        problem: with what its files hold, if it was read.
    """
    modules, longest = model.modules, problem.longest
    if modules is None or modules.longest_text is None or longest is None or longest <= modules.longest_text:
        return ()
    place = ".".join(("problem", *problem.longest_place))
    return (
        f"{place}: {longest} tokens are measured, where the model's folder has texts cut to"
        f" {modules.longest_text} ({modules.cut_by})",
    )


def weights_of(models: Mapping[str, ResolvedModel]) -> dict[str, float]:
    """How many weights each has at least, by variant, where that is known."""
    counts = {variant: least_weights(model) for variant, model in models.items()}
    return {variant: count for variant, count in counts.items() if count is not None}


def activations_of(models: Mapping[str, ResolvedModel]) -> dict[str, float]:
    """How many numbers a token of a request takes in each at least, by variant, where that is known."""
    counts = {variant: least_activations(model) for variant, model in models.items()}
    return {variant: count for variant, count in counts.items() if count is not None}


def served_of(models: Iterable[ResolvedModel]) -> tuple[str, ...]:
    """What is served beside their encoders, of those where there is anything, as sentences."""
    return tuple(
        f"{model.source} is served with {model.modules.in_words}"
        for model in models
        if model.modules is not None
    )


def notes_of(models: Iterable[ResolvedModel]) -> tuple[str, ...]:
    """In what models are served otherwise than their files ask for, with the models' names."""
    return tuple(f"{model.source}: {note}" for model in models for note in model.notes)


def sizes_of(models: Mapping[str, ResolvedModel]) -> dict[str, float]:
    """How large those are whose configuration tells, by variant."""
    sizes = {variant: multiplications(model) for variant, model in models.items()}
    return {variant: size for variant, size in sizes.items() if size is not None}
