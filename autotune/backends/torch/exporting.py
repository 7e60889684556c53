"""Ways of export, tried in order, and the proof that what one makes of a model follows it.

Exporters fix shapes and masks in silence, and one may take an architecture that another does not. So an
engine has several ways from a transformers model to what it loads; the first counts whose answers agree with
the model's at several batch sizes and lengths, those of the study among them. Where none does, one may hold
for the study's own shapes.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from autotune.backends.ending import says_nothing_of_model
from autotune.backends.protocol import MOST_ALONE, Session, Shape
from autotune.backends.torch.positional import SMALL_SHAPE, as_tensors
from autotune.backends.trying import given_up, trying
from autotune.backends.words import first_cause
from autotune.errors import AutotuneError, UnsupportedError
from autotune.model.agreement import (
    LEAST_COSINE,
    LONGER_SHAPES,
    REFERENCE_SEED,
    REFERENCE_SHAPES,
    measure_agreement,
)
from autotune.model.exported import Export, write_export
from autotune.model.inputs import INPUTS_FILE, make_inputs, nearest_shape, read_inputs

PROOF_SHAPES: tuple[Shape, ...] = (*REFERENCE_SHAPES, (1, 17), (5, 24))
"""`(batch, tokens)` of small requests that an export has to follow the model at: one sequence and several,
even lengths and odd ones, above and below those that it was traced with."""

LONGER_PROOF_SHAPES: tuple[Shape, ...] = (*LONGER_SHAPES, (1, 64), (3, 128))
"""Likewise, of a model that takes none of these."""

USUAL_SHAPE: Shape = (2, 96)
"""Stands for the study's requests where nobody names any: longer than the small ones."""

MOST_SEQUENCES, MOST_TOKENS = 2, 256
"""Of a request as long as the study's that an export has to follow the model at, unless one sequence has more
tokens. Other numbers of sequences are tried at small requests, and these take time: DistilBERT at fp32 takes
0.2 s for 256 tokens on one thread, and is asked four times."""

EAGER = "eager"
"""transformers' attention in plain operators, which every exporter knows."""

LONGEST_REASON = 160
"""Characters that are kept of why a way was not taken."""

ExampleRequest = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Tracing:
    """What a way traces the model with.

    Attributes:
        shape: `(batch, tokens)` of the example.
        free: the axes that stay open, 0 = batch, 1 = tokens; the others are as in the example.
    """

    shape: Shape
    free: frozenset[int]


@dataclass(frozen=True)
class Way:
    """One way of export.

    Attributes:
        path: what it goes through.
        make: writes what the engine loads of a module into an empty folder; whatever it raises, but for want
            of memory or space, says that this way does not take the architecture.
        attention: transformers' implementation that the module has meanwhile; None = its own choice.
    """

    path: str
    make: Callable[[Any, Tracing, Path], None]
    attention: str | None = None

    @property
    def name(self) -> str:
        """As provenance states it."""
        return f"{self.path} with {self.attention} attention" if self.attention else self.path


@dataclass(frozen=True)
class Ways:
    """The ways of an engine, in the order in which they are tried.

    Attributes:
        engine: as errors name it.
        load: what was made, as a worker loads it.
        least_cosine: of each answer to the model's.
        example: `(batch, tokens)` that models are traced with where both stay open.
        remedy: where none of them is taken; None = to do without the engine.
    """

    engine: str
    ways: tuple[Way, ...]
    load: Callable[[Path], Session]
    least_cosine: float = LEAST_COSINE
    example: Shape = SMALL_SHAPE
    remedy: str | None = None


@dataclass(frozen=True)
class _Attempt:
    """What ways are tried with.

    Attributes:
        proof: shapes of the requests that what a way makes has to follow the model at.
        alone: those that it then holds for alone; empty where it holds for all.
    """

    tracing: Tracing
    proof: tuple[Shape, ...]
    alone: tuple[Shape, ...] = ()

    def name(self, way: Way) -> str:
        """The way as errors and provenance state it."""
        return f"{way.name}, for the study's shapes alone" if self.alone else way.name


@dataclass
class _Model:
    """The module that is exported, and what it answers with transformers' own choice of attention."""

    module: Any
    source: Path
    own_attention: str | None = None
    answered: dict[Shape, list[tuple[ExampleRequest, np.ndarray[Any, Any]]]] = field(default_factory=dict)
    refusal: str = "its numbers are not finite"

    def __post_init__(self) -> None:
        self.own_attention = getattr(self.module.model.config, "_attn_implementation", None)

    def answers(self, shape: Shape) -> list[tuple[ExampleRequest, np.ndarray[Any, Any]]]:
        """Requests of this shape with the model's answers: as they are, and with half of the first sequence
        padding; none where the model itself has no finite answer."""
        if shape not in self.answered:
            both = ((request, self._answer(request)) for request in _requests(self.source, shape))
            self.answered[shape] = [(request, answer) for request, answer in both if answer is not None]
        return self.answered[shape]

    def taken(self, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """Those that the model answers to, with no more tokens than it has positions for."""
        description = read_inputs(self.source)
        bounded = dict.fromkeys(nearest_shape(description, *shape) for shape in shapes)
        return tuple(shape for shape in bounded if self.answers(shape))

    def _answer(self, request: ExampleRequest) -> np.ndarray[Any, Any] | None:
        import torch

        try:
            with torch.no_grad():
                answer: np.ndarray[Any, Any] = self.module(*as_tensors(request)).numpy()
        except Exception as error:  # architectures raise what they like for a shape that they do not take
            if says_nothing_of_model(error):
                raise
            self.refusal = _reason(error)
            return None
        return answer if np.isfinite(answer).all() else None

    @contextmanager
    def attention(self, name: str | None) -> Iterator[None]:
        """Have the module compute attention so, for a while."""
        if name is None or name == self.own_attention:
            yield
            return
        self.module.model.set_attn_implementation(name)
        try:
            yield
        finally:
            self.module.model.set_attn_implementation(self.own_attention)


def export_model(
    ways: Ways, module: Any, source: Path, directory: Path, shapes: Sequence[Shape] = ()
) -> None:
    """Write what the first way makes that follows the model into `directory`, and which way that was.

    Args:
        module: a positional model.
        source: the prepared folder that it was loaded from.
        directory: empty, but for what is noted of ways that ended another process.
        shapes: of the requests to come: what follows the model at small requests has to follow it at ones as
            long as these. Where nothing does, what follows it at these is made for them alone, unless they
            are more than `MOST_ALONE`.

    Raises:
        UnsupportedError: no way takes the architecture; says why of each.
    """
    model, failed = _Model(module, source), given_up(directory)
    causes: list[Exception] = []
    for attempt in _attempts(ways, model, shapes):
        for way in ways.ways:
            if way.attention == model.own_attention and _is_with_own(way, ways.ways):
                continue
            name = attempt.name(way)
            if name in failed:  # in a process before this one, which a way has ended
                continue
            try:
                with trying(directory, failed, name):
                    _make(ways, way, model, attempt, directory)
            except Exception as error:  # exporters and engines raise what they like
                if says_nothing_of_model(error):
                    raise
                failed[name] = textwrap.shorten(_reason(error), LONGEST_REASON, placeholder=" …")
                causes.append(error)
            else:
                write_export(directory, Export(way.name, failed, attempt.alone))
                return
    raise UnsupportedError(
        f"{ways.engine} cannot export this architecture: {_in_words(failed)}",
        remedy=ways.remedy or f"leave {ways.engine} out of search.backends",
    ) from next(iter(causes), None)


def _attempts(ways: Ways, model: _Model, shapes: Sequence[Shape]) -> Iterator[_Attempt]:
    """Give what ways are tried with: for all requests first, then for the study's shapes alone."""
    example, proof = ways.example, model.taken(PROOF_SHAPES)
    if not proof and (proof := model.taken(LONGER_PROOF_SHAPES)):
        example = proof[0]
    if proof:
        proof = tuple(dict.fromkeys((*proof, *model.taken(_as_long_as(shapes)))))
    yield _Attempt(Tracing(example, frozenset({0, 1})), proof)
    if 0 < len(shapes) <= MOST_ALONE:
        yield _Attempt(_tracing(shapes), tuple(shapes), tuple(shapes))


def _as_long_as(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Give requests of few sequences with as many tokens as the longest and the shortest of these shapes."""
    sequences: dict[int, int] = {}
    for batch, tokens in shapes or (USUAL_SHAPE,):
        sequences[tokens] = max(batch, sequences.get(tokens, 0))
    most = {tokens: max(1, min(MOST_SEQUENCES, MOST_TOKENS // tokens)) for tokens in sequences}
    ends = dict.fromkeys((min(sequences), max(sequences)))
    return tuple((min(sequences[tokens], most[tokens]), tokens) for tokens in ends)


def _is_with_own(way: Way, ways: Sequence[Way]) -> bool:
    """Whether the same way is among them with transformers' own choice of attention."""
    return any(other.path == way.path and other.attention is None for other in ways)


def _make(ways: Ways, way: Way, model: _Model, attempt: _Attempt, directory: Path) -> None:
    """Go one way, and keep what it makes if that follows the model.

    Raises:
        UnsupportedError: it does not. What the way itself raises goes through.
    """
    pairs = [pair for shape in attempt.proof for pair in model.answers(shape)]
    if not pairs:
        raise UnsupportedError(f"the model itself has no answer to compare with: {model.refusal}")
    with TemporaryDirectory(dir=directory) as area:
        made = Path(area) / "made"
        made.mkdir()
        with model.attention(way.attention):
            way.make(model.module, attempt.tracing, made)
        shutil.copy(model.source / INPUTS_FILE, made / INPUTS_FILE)
        session = ways.load(made)
        try:
            for request, answer in pairs:
                _require_same(session, request, answer, ways.least_cosine)
        finally:
            session.close()
        for file in sorted(made.iterdir()):
            file.rename(directory / file.name)


def _require_same(
    session: Session, request: ExampleRequest, answer: np.ndarray[Any, Any], least_cosine: float
) -> None:
    """Refuse an answer that is not the model's: a shape or a mask was fixed in tracing.

    Raises:
        UnsupportedError: it is not, or there is none.
    """
    shape = " x ".join(map(str, next(iter(request.values())).shape))
    try:
        agreement = measure_agreement(
            *([_of_tokens(made, request)] for made in (answer, session.run(request)))
        )
    except Exception as error:  # engines' errors have no class in common
        if says_nothing_of_model(error):
            raise
        raise UnsupportedError(f"does not follow the model at {shape} tokens: {_reason(error)}") from error
    if agreement.cosine < least_cosine:
        raise UnsupportedError(
            f"does not follow the model at {shape} tokens: it answers with a cosine of"
            f" {agreement.cosine:.5f} to it"
        )


def _of_tokens(answer: np.ndarray[Any, Any], request: ExampleRequest) -> np.ndarray[Any, Any]:
    """An answer without what it says of padding, which depends on how attention treats masks: zeros there."""
    mask = request.get("attention_mask")
    if mask is None or answer.shape[1:2] != mask.shape[1:] or answer.ndim < 3:
        return answer
    kept: np.ndarray[Any, Any] = answer * mask.reshape(*mask.shape, *(1 for _ in answer.shape[2:]))
    return kept


def _requests(source: Path, shape: Shape) -> Iterator[ExampleRequest]:
    """A request of this shape, and where it has a mask and two tokens, one with padding."""
    yield make_inputs(source, *shape, REFERENCE_SEED)
    padded, tokens = make_inputs(source, *shape, REFERENCE_SEED), shape[1]
    if "attention_mask" in padded and tokens > 1:
        padded["attention_mask"][0, (tokens + 1) // 2 :] = 0
        yield padded


def _tracing(shapes: Sequence[Shape]) -> Tracing:
    """An example for these shapes alone: only what differs between them stays open."""
    batches, lengths = ({shape[axis] for shape in shapes} for axis in (0, 1))
    free = (axis for axis, sizes in enumerate((batches, lengths)) if len(sizes) > 1)
    return Tracing((max(batches), max(lengths)), frozenset(free))


def _reason(error: Exception) -> str:
    if isinstance(error, AutotuneError):
        return error.problem
    lines = [line.strip() for line in first_cause(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _in_words(failed: Mapping[str, str]) -> str:
    """Why of each way; ways with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for way, why in failed.items():
        by_reason.setdefault(why, []).append(way)
    return "; ".join(f"by {' and by '.join(names)}: {why}" for why, names in by_reason.items())
