"""What a study's own files add to it: digests of its texts and data, and the sources made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autotune.errors import StudyFileError
from autotune.model.calibration import CalibrationSource
from autotune.model.folders.stand_ins import refuse_stand_in
from autotune.model.inputs import InputsDescription, check_shape
from autotune.model.onnx.places import beside
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import StoredStudy, as_stored
from autotune.model.texts.labelled import EvaluationSource, read_labelled
from autotune.model.texts.lengths_file import read_lengths
from autotune.model.texts.texts import TOKENIZER_FILE, content_digest, read_texts, texts_digest
from autotune.spec.longest import LONGEST_TEXT
from autotune.spec.problem import Problem
from autotune.spec.study import StudySpec


def check_study_inputs(spec: StudySpec, model: ResolvedModel, base: Path) -> StoredStudy:
    """Read the texts, data and lengths that a study names, and give the study with their digests.

    Args:
        base: folder that relative paths start from (the study file's).

    Raises:
        StudyFileError: one of them is wrong, or the model has no tokenizer to read it with.
    """
    study = as_stored(spec)
    quality, problem = study.quality, study.problem
    digests: dict[str, str] = {}
    if quality.texts is not None:
        file = base / quality.texts.path
        tokenizer = _tokenizer_for(file, model, "quality.texts")
        texts = read_texts(file, "quality.texts", quality.texts)
        digests["texts_digest"] = _digest(file, tokenizer, "quality.texts", texts.reading.how)
    if quality.data is not None and quality.metric is not None:
        file = base / quality.data.path
        tokenizer = _tokenizer_for(file, model, "quality.data")
        labelled = read_labelled(file, quality.metric, quality.data)
        digests["data_digest"] = _digest(file, tokenizer, "quality.data", labelled.how)
    parts = {
        "quality": quality.model_copy(update=digests),
        "problem": problem.model_copy(update=_requests(problem, model, base)),
    }
    return study.model_copy(update=parts)


def check_inputs_take(inputs: InputsDescription, problem: Problem) -> None:
    """Refuse requests that an ONNX model does not take.

    Raises:
        ModelError: they are longer than its longest, or not of the only shape that it was exported for.
        StudyFileError: they are of several shapes, and it takes one alone.
    """
    if problem.sequence_length is not None:
        check_shape(inputs, problem.batch_size, problem.sequence_length)
        return
    if inputs.batch_size is not None or inputs.sequence_length is not None:
        raise StudyFileError(
            "the model takes one shape of request alone, and these have several",
            path=f"problem.{'lengths' if problem.texts is None else 'texts'}",
            remedy="export it with both dimensions left free, or write a sequence_length",
        )
    if problem.longest is not None:
        check_shape(inputs, problem.batch_size, problem.longest, ".".join(problem.longest_place))


def _requests(problem: Problem, model: ResolvedModel, base: Path) -> dict[str, Any]:
    """What the files of a problem say."""
    if problem.texts is not None:
        file = base / problem.texts.path
        tokenizer = _tokenizer_for(file, model, "problem.texts")
        how = read_texts(file, "problem.texts", problem.texts).reading.how
        both = _digest(file, tokenizer, "problem.texts", how)
        return {"texts_digest": both, "texts_file_digest": content_digest(file, how)}
    if problem.lengths is None or problem.lengths.file is None:
        return {}
    file = base / problem.lengths.file.path
    found, most = read_lengths(file, problem.lengths.file), problem.max_length
    longest = max(found.lengths) if most is None else min(max(found.lengths), most)
    return {"lengths_digest": content_digest(file, found.reading.how), "longest_in_file": longest}


def calibration_source(
    study: StoredStudy, model: ResolvedModel | None = None, base: Path | None = None
) -> CalibrationSource:
    """What the study's answers are compared on, and its scales calibrated on.

    Args:
        model, base: where the tokenizer and the texts lie; not needed to find what is in the cache.
    """
    quality, problem = study.quality, study.problem
    named = quality.texts or problem.texts
    texts = None if named is None else (base or Path()) / named.path
    return CalibrationSource(
        sequences=quality.sequences,
        tokens=problem.longest or LONGEST_TEXT,
        seed=study.seed,
        texts=texts,
        texts_digest=quality.texts_digest if quality.texts else problem.texts_digest,
        tokenizer=None if texts is None or model is None else tokenizer_of(model),
        stated=named,
        place="quality.texts" if quality.texts else "problem.texts",
        longest=0 if texts is None else problem.longest or 0,
    )


def evaluation_source(study: StoredStudy, model: ResolvedModel, base: Path) -> EvaluationSource | None:
    """What the study's metric is computed on; None where it has none."""
    quality, longest = study.quality, study.problem.longest
    if quality.data is None or quality.metric is None:
        return None
    return EvaluationSource(
        data=base / quality.data.path,
        tokenizer=tokenizer_of(model),
        digest_of_both=quality.data_digest,
        metric=quality.metric,
        tokens=longest or LONGEST_TEXT,
        is_stated=longest is not None,
        stated=quality.data,
    )


def tokenizer_of(model: ResolvedModel) -> Path | None:
    """Where the model's tokenizer should lie; None for a model that has none.

    A fake model has one where somebody put one beside its file.
    """
    if model.path is None:
        return None
    if model.path.is_dir():
        return model.path / TOKENIZER_FILE
    found = beside(model.path, TOKENIZER_FILE)
    return model.path.parent / TOKENIZER_FILE if found is None and not model.traits.is_formula else found


def _tokenizer_for(file: Path, model: ResolvedModel, place: str) -> Path:
    """Where the tokenizer should lie that reads a file.

    Raises:
        StudyFileError: the model has none, or takes requests of one length alone.
    """
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
    return tokenizer


def _digest(file: Path, tokenizer: Path, place: str, how: str) -> str:
    try:
        refuse_stand_in(tokenizer)
        return texts_digest(file, tokenizer, how)
    except OSError as error:
        raise StudyFileError(
            f"{tokenizer} cannot be read, without which {file.name} says nothing: {error.strerror}",
            path=place,
            remedy="save the model's fast tokenizer beside it: AutoTokenizer.from_pretrained(...)"
            ".save_pretrained(DIR), which writes tokenizer.json",
        ) from error
