"""What a study's own files add to it: digests of its texts and data, and the sources made of them."""

from __future__ import annotations

from pathlib import Path

from autotune.errors import StudyFileError
from autotune.model.calibration import CalibrationSource
from autotune.model.labelled import EvaluationSource, read_labelled
from autotune.model.sources import ResolvedModel
from autotune.model.texts import TOKENIZER_FILE, read_texts, texts_digest
from autotune.spec.study import StudySpec


def check_study_inputs(spec: StudySpec, model: ResolvedModel, base: Path) -> StudySpec:
    """Read the texts and the data that a study names, and give the study with their digests.

    Args:
        base: folder that relative paths start from (the study file's).

    Raises:
        StudyFileError: one of them is wrong, or the model has no tokenizer to read it with.
    """
    quality = spec.quality
    digests: dict[str, str] = {}
    if quality.texts is not None:
        read_texts(base / quality.texts, "quality.texts")
        digests["texts_digest"] = _digest(base / quality.texts, model, "quality.texts")
    if quality.data is not None and quality.metric is not None:
        read_labelled(base / quality.data, quality.metric)
        digests["data_digest"] = _digest(base / quality.data, model, "quality.data")
    return spec.model_copy(update={"quality": quality.model_copy(update=digests)})


def calibration_source(
    spec: StudySpec, model: ResolvedModel | None = None, base: Path | None = None
) -> CalibrationSource:
    """What the study's answers are compared on, and its scales calibrated on.

    Args:
        spec: with the digests that `check_study_inputs` gives.
        model, base: where the tokenizer and the texts lie; not needed to find what is in the cache.
    """
    texts = None if spec.quality.texts is None else (base or Path()) / spec.quality.texts
    return CalibrationSource(
        sequences=spec.quality.sequences,
        tokens=spec.problem.sequence_length,
        seed=spec.seed,
        texts=texts,
        texts_digest=spec.quality.texts_digest,
        tokenizer=None if texts is None or model is None else tokenizer_of(model),
    )


def evaluation_source(spec: StudySpec, model: ResolvedModel, base: Path) -> EvaluationSource | None:
    """What the study's metric is computed on; None where it has none.

    Args:
        spec: with the digests that `check_study_inputs` gives.
    """
    quality, tokenizer = spec.quality, tokenizer_of(model)
    if quality.data is None or quality.metric is None or tokenizer is None:
        return None
    return EvaluationSource(
        data=base / quality.data,
        tokenizer=tokenizer,
        digest_of_both=quality.data_digest,
        metric=quality.metric,
        tokens=spec.problem.sequence_length,
    )


def tokenizer_of(model: ResolvedModel) -> Path | None:
    """Where the model's tokenizer should lie; None for a model that has no files of its own."""
    if model.path is None or model.kind == "fake":
        return None
    return (model.path if model.path.is_dir() else model.path.parent) / TOKENIZER_FILE


def _digest(file: Path, model: ResolvedModel, place: str) -> str:
    tokenizer = tokenizer_of(model)
    if tokenizer is None:
        raise StudyFileError(
            f"{model.source} has no tokenizer to read {file.name} with",
            path=place,
            remedy="name a model with its files (path:DIR or hf:ORG/NAME), or leave this out",
        )
    if model.inputs is not None and (model.inputs.batch_size or model.inputs.sequence_length):
        raise StudyFileError(
            f"{model.source} takes one shape of request alone, and every text has a length of its own",
            path=place,
            remedy="export the model with both dimensions left free, or leave this out",
        )
    try:
        return texts_digest(file, tokenizer)
    except OSError as error:
        raise StudyFileError(
            f"{tokenizer} cannot be read, without which {file.name} says nothing: {error.strerror}",
            path=place,
            remedy="save the model's fast tokenizer beside it: AutoTokenizer.from_pretrained(...)"
            ".save_pretrained(DIR), which writes tokenizer.json",
        ) from error
