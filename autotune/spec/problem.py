"""The requests to serve, as a study file states them: of one length, of many, or texts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from autotune.spec.named_file import Named, NamedFile, TextsFile
from autotune.spec.part import MAX_CHOICES, Count, Part, as_tuple, refuse

MAX_LENGTH = 131_072

Length = Annotated[int, Field(ge=1, le=MAX_LENGTH)]
Weight = Annotated[float, Field(gt=0, le=1e9)]
Inside = Literal["tokenization"]


class LogNormal(Part):
    """Lengths whose logarithms are normally distributed, as those of texts are, about."""

    median: Annotated[float, Field(ge=1, le=MAX_LENGTH)]
    """Half of the sequences have fewer tokens."""
    sigma: Annotated[float, Field(gt=0, le=5)]
    """Standard deviation of the natural logarithm: 0.5 has two of three between 0.6 and 1.6 medians."""
    max: Length
    """Longer ones are cut to so many tokens."""

    @model_validator(mode="after")
    def _half_are_longer_than_the_median(self) -> Self:
        if self.max < self.median:
            refuse(f"{self.max} cuts more than half of the lengths, whose median is {self.median:g}", "max")
        return self


class Lengths(Part):
    """How many tokens sequences have: a list with weights, a log-normal distribution, or a file."""

    values: (
        Annotated[tuple[Length, ...], Field(min_length=1, max_length=MAX_CHOICES), BeforeValidator(as_tuple)]
        | None
    ) = None
    """Tokens."""
    weights: (
        Annotated[tuple[Weight, ...], Field(min_length=1, max_length=MAX_CHOICES), BeforeValidator(as_tuple)]
        | None
    ) = None
    """How often each of `values` comes, in parts of their sum; without them equally often."""
    lognormal: LogNormal | None = None
    """Of a log-normal distribution."""
    file: Named[NamedFile] | None = None
    """A file of lengths as they came in: one number to a line, or JSON or a table with a key."""

    @model_validator(mode="after")
    def _are_told_in_one_way(self) -> Self:
        told = [name for name in ("values", "lognormal", "file") if getattr(self, name) is not None]
        if len(told) != 1:
            found = f"both {' and '.join(told)}" if told else "none of them"
            refuse(f"{found}: write one of values, lognormal and file")
        return self

    @model_validator(mode="after")
    def _every_value_has_a_weight(self) -> Self:
        if self.weights is None:
            return self
        if self.values is None:
            refuse("weights say how often values come, and there are no values", "weights")
        if len(self.weights) != len(self.values):
            refuse(
                f"{len(self.weights)} weights do not fit {len(self.values)} values: write one for each",
                "weights",
            )
        return self

    @property
    def longest(self) -> int | None:
        """The longest of all; None where only the file tells."""
        if self.values is not None:
            return max(self.values)
        return None if self.lognormal is None else self.lognormal.max


class ResponseCache(Part):
    """Answers that every instance keeps, to give them again: the least recently used one is dropped first."""

    hit_rate: Annotated[float, Field(ge=0, le=0.99)] | None = None
    """Share of the sequences that come again while their answer is kept."""
    size: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """How many answers are kept; how often one is found, the texts decide."""

    @model_validator(mode="after")
    def _is_told_in_one_way(self) -> Self:
        if (self.hit_rate is None) == (self.size is None):
            found = "neither" if self.size is None else "both"
            refuse(f"{found} of them: write the hit_rate that is asked for, or the size that decides it")
        return self


class Problem(Part):
    """The requests to serve: `batch_size` sequences each, of one length, of many, or texts."""

    batch_size: Count
    """Sequences per request."""
    lengths: Lengths | None = None
    """Of sequences that differ, in the place of `sequence_length`."""
    texts: Named[TextsFile] | None = None
    """A file of texts in the place of both, tokenised with the model's own tokenizer: one to a line, JSON or
    a table with a header, each also gzipped. `{path: FILE, key: NAME}` says what to read of it."""
    sequence_length: Annotated[Length | None, Field(validate_default=True)] = None
    """Tokens of every sequence, padding included."""
    max_length: Length | None = None
    """Longer sequences are cut to so many tokens, and padding to the maximum fills up to it. By default the
    longest of `lengths`; of texts, what the model takes, and the longest text."""
    include: Annotated[tuple[Inside, ...], Field(max_length=1), BeforeValidator(as_tuple)] = ()
    """What is part of serving, and measured: `tokenization` of the texts, within the instances' cores."""
    cache: ResponseCache | None = None
    """A cache of answers in front of the model, in every instance."""

    @field_validator("texts")
    @classmethod
    def _texts_have_lengths_of_their_own(
        cls, texts: TextsFile | None, info: ValidationInfo
    ) -> TextsFile | None:
        if texts is not None and info.data.get("lengths") is not None:
            refuse("texts and lengths both say how long sequences are: write one of them")
        return texts

    @field_validator("sequence_length")
    @classmethod
    def _is_told_in_one_way(cls, length: int | None, info: ValidationInfo) -> int | None:
        # One that is wrong is not among the data.
        others = [name for name in ("lengths", "texts") if info.data.get(name, name) is not None]
        if length is None and not others:
            refuse(
                f"missing: write a whole number from 1 to {MAX_LENGTH}, or `lengths` or `texts` in its place"
            )
        if length is not None and others:
            refuse(f"sequence_length and {others[0]} both say how long sequences are: write one of them")
        return length

    @model_validator(mode="after")
    def _one_length_has_nothing_more(self) -> Self:
        if self.sequence_length is not None:
            if self.max_length is not None:
                refuse("every sequence has sequence_length tokens: leave max_length out", "max_length")
            if self.cache is not None:
                length = f"{{values: [{self.sequence_length}]}}"
                refuse(
                    f"one request comes again and again: write `lengths: {length}` in the place of "
                    "sequence_length, so that requests differ",
                    "cache",
                )
        return self

    @model_validator(mode="after")
    def _texts_are_there_where_they_are_needed(self) -> Self:
        if self.texts is None and self.include:
            refuse("tokenization needs texts: name a file of them, as in `texts: requests.txt`", "include", 0)
        if self.texts is None and self.cache is not None and self.cache.size is not None:
            refuse(
                "lengths alone do not tell which sequences come again: name `texts`, or write a hit_rate",
                "cache",
                "size",
            )
        return self

    @property
    def is_stream(self) -> bool:
        """Whether requests differ: those of one length are the same one again and again."""
        return self.sequence_length is None

    @property
    def longest(self) -> int | None:
        """The most tokens that a sequence has, as far as the study itself tells."""
        own = self.sequence_length or (self.lengths and self.lengths.longest) or None
        return self.max_length or own

    @property
    def longest_place(self) -> tuple[str, ...]:
        """Where in the problem `longest` is written."""
        if self.max_length is not None:
            return ("max_length",)
        if self.lengths is None:
            return ("sequence_length",)
        return ("lengths",) if self.lengths.file is None else ("lengths", "file")

    @property
    def is_uniform(self) -> bool:
        """Whether all sequences have one length, so that there is nothing to pad."""
        values = None if self.lengths is None else self.lengths.values
        return not self.is_stream or (values is not None and len(set(values)) == 1 and not self.max_length)


def problem_in_words(problem: Problem) -> str:
    """The requests, as a part of a sentence: `batch 8 x 128 tokens`."""
    if problem.sequence_length is not None:
        return f"batch {problem.batch_size} x {problem.sequence_length} tokens"
    return ", ".join((f"batch {problem.batch_size}", *_sequences_in_words(problem)))


def _sequences_in_words(problem: Problem) -> list[str]:
    words = []
    if problem.texts is not None:
        words.append(f"texts of {problem.texts.path}")
    if problem.lengths is not None:
        words.append(_lengths_in_words(problem.lengths))
    if problem.max_length is not None:
        words.append(f"at most {problem.max_length} tokens")
    words += [f"{inside} included" for inside in problem.include]
    if problem.cache is not None:
        words.append(_cache_in_words(problem.cache))
    return words


def _lengths_in_words(lengths: Lengths) -> str:
    if lengths.file is not None:
        return f"lengths of {lengths.file.path}"
    if lengths.lognormal is not None:
        drawn = lengths.lognormal
        return f"log-normal lengths of median {drawn.median:g}, sigma {drawn.sigma:g}, at most {drawn.max}"
    values, weights = lengths.values or (), lengths.weights or ()
    shown = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
    parts = f" in parts {':'.join(f'{weight:g}' for weight in weights[:6])}" if weights else ""
    return f"lengths {shown}{parts}"


def _cache_in_words(cache: ResponseCache) -> str:
    if cache.size is not None:
        return f"a response cache of {cache.size} answers in each instance"
    return f"a response cache with {100 * (cache.hit_rate or 0):g} % hits in each instance"
