"""The models of a study by variant: found on this machine, with what the answers of each are compared on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.errors import ModelError, StudyFileError
from autotune.model.calibration import CalibrationSource
from autotune.model.inputs import is_unmasked
from autotune.model.size import least_activations, least_weights, multiplications
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.stream_source import StreamSource, stream_source
from autotune.model.study_inputs import (
    calibration_source,
    check_study_inputs,
    evaluation_source,
    tokenizer_of,
)
from autotune.model.texts.labelled import EvaluationSource
from autotune.spec.configuration import Configuration
from autotune.spec.problem import Problem
from autotune.spec.study import StudySpec

DIGESTS: Mapping[str, tuple[str, ...]] = {
    "quality": ("texts_digest", "data_digest"),
    "problem": ("texts_digest",),
}
"""Values of a study's parts that are of a tokenizer too, and so of one model each."""


@dataclass(frozen=True)
class Variant:
    """One model that a study's configurations may run.

    Attributes:
        spec: the study as if it were of this model alone.
        calibration: what its answers are compared on, and scales calibrated on.
        evaluation: labelled texts that a metric is computed on; None = none.
        base: folder that relative paths start from (the study file's).
    """

    model: ResolvedModel
    spec: StudySpec
    calibration: CalibrationSource
    evaluation: EvaluationSource | None = None
    base: Path = Path()

    def stream(self, configuration: Configuration) -> StreamSource | None:
        """What the requests of a configuration are made of; None where they are of one length."""
        return stream_source(self.spec, configuration, base=self.base, tokenizer=tokenizer_of(self.model))


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


def check_variants(spec: StudySpec, models: Mapping[str, ResolvedModel], base: Path) -> StudySpec:
    """Read the texts and the data that a study names, and give the study with their digests.

    Of several models, each of which may have a tokenizer of its own, a digest is the text of all of them in
    order, with blanks between; and the study has the models' own digests too. It also says which of them have
    no attention mask.

    Args:
        models: by variant; before a study begins, not all of them may be here.
        base: folder that relative paths start from (the study file's).

    Raises:
        StudyFileError: one of them is wrong, or a model has no tokenizer to read it with.
    """
    unmasked = tuple(variant for variant, model in models.items() if is_unmasked(model.inputs))
    spec = spec.model_copy(update={"unmasked": unmasked})
    checked = [check_study_inputs(spec, model, base) for model in models.values()]
    if len(checked) < 2:
        return checked[0] if checked else spec
    joined = {
        part: {name: " ".join(getattr(getattr(one, part), name) for one in checked).strip() for name in names}
        for part, names in DIGESTS.items()
    }
    parts = {part: getattr(checked[0], part).model_copy(update=digests) for part, digests in joined.items()}
    return spec.model_copy(update={**parts, "digests": tuple(model.digest for model in models.values())})


def of_variant(spec: StudySpec, variant: str) -> StudySpec:
    """A checked study as if it were of one of its models alone."""
    if not variant:
        return spec
    index = spec.variants.index(variant)
    parts = {
        part: getattr(spec, part).model_copy(
            update={name: _one_of(getattr(getattr(spec, part), name), index) for name in names}
        )
        for part, names in DIGESTS.items()
    }
    own = {"model": variant, "digests": (), "unmasked": ("",) if variant in spec.unmasked else ()}
    return spec.model_copy(update={**parts, **own})


def _one_of(digests: str, index: int) -> str:
    return digests.split()[index] if digests else ""


def variants_of(spec: StudySpec, models: Mapping[str, ResolvedModel], base: Path) -> dict[str, Variant]:
    """Each model with what its answers are compared on.

    Args:
        spec: with the digests that `check_variants` gives.
        base: folder that relative paths start from (the study file's).
    """
    return {variant: _variant(of_variant(spec, variant), model, base) for variant, model in models.items()}


def _variant(own: StudySpec, model: ResolvedModel, base: Path) -> Variant:
    evaluation = evaluation_source(own, model, base)
    noted = replace(model, notes=(*model.notes, *beyond(model, own.problem)))
    return Variant(noted, own, calibration_source(own, model, base), evaluation, base)


def beyond(model: ResolvedModel, problem: Problem) -> tuple[str, ...]:
    """In what requests are longer than the model's folder would have texts, as sentences.

    Args:
        problem: as `check_variants` gives it.
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
