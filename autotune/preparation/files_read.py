"""Reads what a study's files hold, and counts tokens with the models' own tokenizers, before it begins."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import ModelError
from autotune.model.folders.positions import longest_of_folder, longest_sequence, trained_length
from autotune.model.size import configuration
from autotune.model.sources import ResolvedModel
from autotune.model.study_inputs import tokenizer_of
from autotune.model.texts.files_read import FileRead, TokenCounts, shortened
from autotune.model.texts.labelled import Labelled, read_labelled
from autotune.model.texts.lengths_file import read_lengths
from autotune.model.texts.texts import Reading, read_texts
from autotune.preparation.tokenization import TextPair, as_pair, open_tokenizer, prompted
from autotune.spec.longest import LONGEST_TEXT
from autotune.spec.model_source import max_tokens
from autotune.spec.problem import Problem
from autotune.spec.study import StudySpec

LOOKED_AT = 2_000
"""Texts of a file that are cut up to say how long they are, at most."""
MOST_CHARACTERS = 2**22
"""In all of them together, of which a tokenizer takes some seconds."""

_BOUND = "autotune's bound where neither study nor model has one"


@dataclass(frozen=True)
class _Cut:
    """How many tokens a sequence may have, and what says so."""

    tokens: int
    by: str


def read_files(spec: StudySpec, models: Mapping[str, ResolvedModel], base: Path) -> tuple[FileRead, ...]:
    """What was read of every file that a study names.

    Args:
        models: by variant; before a study begins, not all of them may be here.
        base: folder that relative paths start from (the study file's).

    Raises:
        StudyFileError: a file is wrong.
        ModelError: a tokenizer is none, or leaves no room for text.
    """
    return tuple(_files(spec, models, base))


def _files(spec: StudySpec, models: Mapping[str, ResolvedModel], base: Path) -> Iterator[FileRead]:
    problem, quality = spec.problem, spec.quality
    if problem.texts is not None:
        yield _texts(base, "problem.texts", spec, models)
    if problem.lengths is not None and problem.lengths.file is not None:
        yield _lengths(base, problem)
    if quality.texts is not None:
        yield _texts(base, "quality.texts", spec, models)
    if quality.data is not None and quality.metric is not None:
        file = base / quality.data.path
        labelled = read_labelled(file, quality.metric, quality.data)
        counts = tuple(
            _counted(model, _sequences(labelled, model), _compared_cut(model, problem))
            for model in models.values()
            if tokenizer_of(model) is not None
        )
        first = labelled.rows[0]
        pair = (first.text, first.text_pair)
        yield _read(
            "quality.data", quality.data.path, labelled.reading, "rows", pair, len(labelled.rows), counts
        )


def _texts(base: Path, place: str, spec: StudySpec, models: Mapping[str, ResolvedModel]) -> FileRead:
    stated = spec.problem.texts if place == "problem.texts" else spec.quality.texts
    assert stated is not None
    found = read_texts(base / stated.path, place, stated)
    cut = _served_cut if place == "problem.texts" else _compared_cut
    pairs = [as_pair(text) for text in found.texts]
    counts = tuple(
        _counted(model, pairs, cut(model, spec.problem))
        for model in models.values()
        if tokenizer_of(model) is not None
    )
    kind = "texts" if pairs[0][1] is None else "pairs"
    return _read(place, stated.path, found.reading, kind, pairs[0], len(pairs), counts)


def _lengths(base: Path, problem: Problem) -> FileRead:
    assert problem.lengths is not None
    named = problem.lengths.file
    assert named is not None
    found = read_lengths(base / named.path, named)
    counts = _counts("", found.lengths, problem.max_length, "problem.max_length", None)
    first = (str(found.lengths[0]), None)
    return _read(
        "problem.lengths.file", named.path, found.reading, "lengths", first, len(found.lengths), (counts,)
    )


def _read(
    place: str,
    path: str,
    reading: Reading,
    kind: str,
    first: TextPair,
    count: int,
    counts: tuple[TokenCounts, ...],
) -> FileRead:
    return FileRead(
        place=place,
        file=path,
        format=reading.in_words,
        keys=reading.keys,
        kind=kind,
        count=count,
        left_out=reading.left_out,
        first=" | ".join(shortened(text) for text in first if text is not None),
        tokens=counts,
    )


def _sequences(labelled: Labelled, model: ResolvedModel) -> list[TextPair]:
    """What a model is given of labelled texts: pairs as one sequence, or, to compare, each for itself."""
    pairs = [(row.text, row.text_pair) for row in labelled.rows]
    if all(row.score is None for row in labelled.rows) or _scores_pairs(model):
        return pairs
    return [(text, None) for pair in pairs for text in pair if text is not None]


def _scores_pairs(model: ResolvedModel) -> bool:
    if model.class_head == "none":
        return False
    named = configuration(model).get("architectures")
    return isinstance(named, list) and any(str(name).endswith("ForSequenceClassification") for name in named)


def _served_cut(model: ResolvedModel, problem: Problem) -> _Cut:
    """Where texts that are served are cut; as `autotune.preparation.streams` does it."""
    if problem.max_length is not None:
        return _Cut(problem.max_length, "problem.max_length")
    longest, stated = _longest(model), _stated_cut(model)
    if stated is not None and stated.tokens <= (longest or stated.tokens):
        return stated
    if longest:
        return _Cut(longest, "the model takes no more")
    if trained := _trained(model):
        return _Cut(trained, "the model was made for no more")
    return _Cut(LONGEST_TEXT, _BOUND)


def _compared_cut(model: ResolvedModel, problem: Problem) -> _Cut:
    """Where texts are cut on which answers are compared; as `autotune.preparation.tokenization` does it."""
    place = f"problem.{'.'.join(problem.longest_place)}"
    asked = _Cut(LONGEST_TEXT, _BOUND) if problem.longest is None else _Cut(problem.longest, place)
    longest, stated = _longest(model), _stated_cut(model)
    if problem.longest is None and stated is not None and stated.tokens < asked.tokens:
        asked = stated
    return asked if longest is None or longest >= asked.tokens else _Cut(longest, "the model takes no more")


def _stated_cut(model: ResolvedModel) -> _Cut | None:
    """Where the model's folder says that texts are cut; None where it says nothing of it."""
    modules = model.modules
    if modules is None or modules.longest_text is None:
        return None
    return _Cut(modules.longest_text, modules.cut_by)


def _longest(model: ResolvedModel) -> int | None:
    """The most tokens that a model takes; None where it has no bound."""
    if model.inputs is not None:
        return model.inputs.max_sequence_length
    if model.traits.is_formula:
        return None
    if not model.traits.has_files:
        return max_tokens(model.source)
    if model.path is not None and model.path.is_dir():
        with suppress(ModelError, OSError):  # whoever loads the model says so
            return longest_of_folder(model.path)
    return longest_sequence(configuration(model))


def _trained(model: ResolvedModel) -> int | None:
    """For how many tokens a model that takes any number was made; None where nobody knows."""
    return model.inputs.trained_length if model.inputs is not None else trained_length(configuration(model))


def _counted(model: ResolvedModel, sequences: Sequence[TextPair], cut: _Cut) -> TokenCounts:
    file = tokenizer_of(model)
    assert file is not None
    modules = model.modules
    prompt = "" if modules is None else modules.prompt
    tokenizer = open_tokenizer(file, cut.tokens, lower_case=modules is not None and modules.lower_case)
    tokenizer.no_truncation()
    lengths = [len(tokenizer.encode(*prompted(pair, prompt)).ids) for pair in _some(sequences)]
    own = _own_cut(file) if modules is None else modules.longest_text
    return _counts(model.source, lengths, cut.tokens, cut.by, own)


def _some(sequences: Sequence[TextPair]) -> Iterator[TextPair]:
    """A part of them, from all over."""
    step, characters = max(1, -(-len(sequences) // LOOKED_AT)), 0
    for pair in sequences[::step]:
        yield pair
        characters += sum(len(text) for text in pair if text is not None)
        if characters > MOST_CHARACTERS:
            return


def _own_cut(tokenizer: Path) -> int | None:
    """Where the tokenizer, left to itself, cuts; None where it does not."""
    truncation = json.loads(tokenizer.read_bytes()).get("truncation") or {}
    longest = truncation.get("max_length")
    return longest if isinstance(longest, int) else None


def _counts(
    model: str, lengths: Sequence[int], cut_to: int | None, cut_by: str, own: int | None
) -> TokenCounts:
    to = max(lengths) if cut_to is None else cut_to
    own_cuts = 0 if own is None or own >= to else sum(length > own for length in lengths)
    return TokenCounts(
        model=model,
        of=len(lengths),
        median=float(statistics.median(min(length, to) for length in lengths)),
        longest=max(lengths),
        cut=sum(length > to for length in lengths),
        cut_to=cut_to,
        cut_by=cut_by if cut_to is not None else "",
        tokenizer_cuts=own_cuts,
        tokenizer_cuts_to=own if own_cuts else None,
    )
