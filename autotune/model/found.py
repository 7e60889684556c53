"""A study with what was found of it on this machine: its models, and what its files hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.model.calibration import CalibrationSource
from autotune.model.inputs import is_unmasked
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import StoredStudy, as_stored
from autotune.model.stream_source import StreamSource, stream_source
from autotune.model.study_inputs import (
    calibration_source,
    check_study_inputs,
    evaluation_source,
    tokenizer_of,
)
from autotune.model.texts.files_read import FileRead
from autotune.model.texts.labelled import EvaluationSource
from autotune.model.variants import beyond, notes_of, served_of
from autotune.spec.configuration import Configuration
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
        study: the study as if it were of this model alone.
        calibration: what its answers are compared on, and scales calibrated on.
        evaluation: labelled texts that a metric is computed on; None = none.
        base: folder that relative paths start from (the study file's).
    """

    model: ResolvedModel
    study: StoredStudy
    calibration: CalibrationSource
    evaluation: EvaluationSource | None = None
    base: Path = Path()

    def stream(self, configuration: Configuration) -> StreamSource | None:
        """What the requests of a configuration are made of; None where they are of one length."""
        return stream_source(self.study, configuration, base=self.base, tokenizer=tokenizer_of(self.model))


@dataclass(frozen=True)
class FoundStudy:
    """A study with what was found of it on this machine.

    Attributes:
        spec: what is written.
        stored: the same with digests and lengths, as it is stored.
        variants: the models, by what `Configuration.model` says; the first is the baseline's. In a dry run
            not all of them may be here.
        files: what was read of those that the study names.
    """

    spec: StudySpec
    stored: StoredStudy
    variants: Mapping[str, Variant]
    files: tuple[FileRead, ...] = ()

    @property
    def models(self) -> dict[str, ResolvedModel]:
        """The models by variant."""
        return {name: variant.model for name, variant in self.variants.items()}

    @property
    def model_digest(self) -> str:
        """One digest for all models: of a single one its own."""
        digests = [variant.model.digest for variant in self.variants.values()]
        return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()

    @property
    def served(self) -> tuple[str, ...]:
        """What is served beside the models' encoders, as sentences."""
        return served_of(self.models.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """In what the models are served otherwise than their files ask for, as sentences."""
        return notes_of(self.models.values())

    def noting(self, variant: str, *notes: str) -> FoundStudy:
        """Give the same study with more to say of one of its models."""
        noted = self.variants[variant]
        model = replace(noted.model, notes=(*noted.model.notes, *notes))
        return replace(self, variants={**self.variants, variant: replace(noted, model=model)})


def find_study(spec: StudySpec, models: Mapping[str, ResolvedModel], base: Path) -> FoundStudy:
    """Read the texts, data and lengths that a study names, each with the tokenizer of every model.

    Args:
        models: by variant; before a study begins, not all of them may be here.
        base: folder that relative paths start from (the study file's).

    Raises:
        StudyFileError: a file is wrong, or a model has no tokenizer to read it with.
    """
    read = {variant: check_study_inputs(spec, model, base) for variant, model in models.items()}
    unmasked = tuple(variant for variant, model in models.items() if is_unmasked(model.inputs))
    digests = tuple(model.digest for model in models.values()) if len(models) > 1 else ()
    stored = _joined(spec, tuple(read.values())).model_copy(update={"digests": digests, "unmasked": unmasked})
    return found_again(stored, models, base)


def found_again(stored: StoredStudy, models: Mapping[str, ResolvedModel], base: Path) -> FoundStudy:
    """Give a stored study with its models, as far as they are here; no file is read.

    Args:
        base: folder that relative paths start from (the study file's).
    """
    variants = {name: _variant(of_variant(stored, name), model, base) for name, model in models.items()}
    return FoundStudy(stored.written, stored, variants)


def of_variant(stored: StoredStudy, variant: str) -> StoredStudy:
    """Give a study as if it were of one of its models alone."""
    if not variant:
        return stored
    index = stored.variants.index(variant)
    parts = {
        part: getattr(stored, part).model_copy(
            update={name: _at(getattr(getattr(stored, part), name), index) for name in names}
        )
        for part, names in DIGESTS.items()
    }
    own = {"model": variant, "digests": (), "unmasked": ("",) if variant in stored.unmasked else ()}
    return stored.model_copy(update={**parts, **own})


def _at(digests: str, index: int) -> str:
    return digests.split()[index] if digests else ""


def _joined(spec: StudySpec, read: tuple[StoredStudy, ...]) -> StoredStudy:
    """One study of those that the models read, with the digests of all of them."""
    if len(read) < 2:
        return read[0] if read else as_stored(spec)
    parts = {
        part: getattr(read[0], part).model_copy(
            update={
                name: " ".join(getattr(getattr(study, part), name) for study in read).strip()
                for name in names
            }
        )
        for part, names in DIGESTS.items()
    }
    return read[0].model_copy(update=parts)


def _variant(study: StoredStudy, model: ResolvedModel, base: Path) -> Variant:
    noted = replace(model, notes=(*model.notes, *beyond(model, study.problem)))
    return Variant(
        noted, study, calibration_source(study, model, base), evaluation_source(study, model, base), base
    )
