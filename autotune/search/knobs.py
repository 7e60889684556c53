"""Which knobs can be turned on this machine, by which engine, and which of them a study asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from autotune.backends.knobs import knobs_read, readers
from autotune.backends.registry import backends, get_backend
from autotune.errors import StudyFileError, UnsupportedError
from autotune.placement.preloads import find_preload
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.knob import Here, Knob
from autotune.spec.knob_search import MAX_TEXTS, KnobSearch
from autotune.spec.knobs import NO_KNOBS, Knobs, knob_texts, legal_fault, parse_knobs
from autotune.spec.known_knobs import OF_EVERY_PROCESS, known_knobs
from autotune.spec.model_source import kind_of

Find = Callable[[str, str], Path | None]
"""Where the library of a knob's value lies, as `autotune.placement.preloads.find_preload` says it."""

KnobValues = Mapping[str, tuple[str, ...]]
"""Values by knob, the usual one first."""

KnobsByEngine = Mapping[tuple[str, Precision], KnobValues]
"""Values of knobs by backend and precision."""


@dataclass(frozen=True)
class KnobSpace:
    """What the second stage of a study may turn.

    Attributes:
        choices: by backend and precision: the knobs that it reads, with those of the asked values that can be
            had here.
        texts: every value that the parameter `knobs` may have, whatever is installed: a study that goes on
            later, with a library more, has the same.
    """

    choices: Mapping[tuple[str, Precision], KnobValues] = field(default_factory=dict)
    texts: tuple[str, ...] = ("",)

    def turns(self, configuration: Configuration, batch: int, turned: Knobs = NO_KNOBS) -> Iterator[Knobs]:
        """Every way of turning one more knob that could make a difference.

        Args:
            batch: sequences in the smallest request of an instance.
            turned: the knobs that are turned already.
        """
        choices = self.choices.get((configuration.backend, configuration.precision), {})
        for name, values in choices.items():
            knob = known_knobs()[name]
            for value in values[1:] if name not in turned and _is_open(knob, configuration) else ():
                more = {**turned, name: value}
                if knob.matters(value, configuration.threads_per_instance, batch) and not legal_fault(more):
                    yield more

    def without(self, knobs: Collection[str]) -> KnobSpace:
        """Leave these knobs as they usually are; the parameter may have the values that it had."""
        kept = {
            pair: {name: values for name, values in choices.items() if name not in knobs}
            for pair, choices in self.choices.items()
        }
        return replace(self, choices=kept)


NOTHING_TO_TURN = KnobSpace()


@dataclass(frozen=True)
class KnobStatus:
    """One knob on this machine.

    Attributes:
        values: those that can be had, the usual one first.
        refused: why not, for each of its others.
        engines: names of the registered ones that read it.
    """

    name: str
    what: str
    values: tuple[str, ...]
    refused: Mapping[str, str]
    engines: tuple[str, ...]


def knob_space(
    asked: KnobSearch,
    engines: Mapping[str, tuple[Precision, ...]],
    isa: frozenset[str],
    find: Find = find_preload,
    *,
    kinds: frozenset[str] | None = None,
) -> tuple[KnobSpace, tuple[str, ...]]:
    """What a study may turn here, and why some of what `auto` stands for is left out.

    Args:
        asked: `search.knobs`.
        engines: precisions by backend that the study searches.
        isa: flags as in `Machine.isa`.
        find: looks for libraries.
        kinds: of the study's model sources, which decide what can be turned in preparation; None = any.

    Raises:
        StudyFileError: a value that the study lists cannot be had here, or no engine of it reads the knob.
    """
    wanted = _wanted(asked)
    read: KnobsByEngine = {
        (name, precision): {
            knob: wanted[knob] for knob in wanted if knob in knobs and precision in knobs[knob]
        }
        for name, precisions in engines.items()
        for knobs in [knobs_read(get_backend(name), kinds)]
        for precision in precisions
    }
    crowded: tuple[str, ...] = ()
    if isinstance(asked, str):
        read, crowded = _bounded(read)
    reasons = _reasons(wanted, {knob for choices in read.values() for knob in choices}, Here(isa, find))
    if not isinstance(asked, str):
        _refuse_missing(asked, engines, kinds, read.values(), reasons)
    here = {pair: _here(choices, reasons) for pair, choices in read.items()}
    texts = sorted({"", *(text for choices in read.values() for text in knob_texts(choices))})
    return KnobSpace(here, tuple(texts)), (*reasons_in_words(reasons), *crowded)


def _bounded(read: KnobsByEngine) -> tuple[dict[tuple[str, Precision], KnobValues], tuple[str, ...]]:
    """Leave knobs out of an engine's that could be set in too many ways together, and say which.

    Those of every process are kept first, then those of the fewest values.
    """
    every_process = {knob.name for knob in OF_EVERY_PROCESS}
    bounded: dict[tuple[str, Precision], KnobValues] = {}
    left_out: dict[tuple[str, ...], list[str]] = {}
    for pair, choices in read.items():
        kept: dict[str, tuple[str, ...]] = {}
        for name in sorted(choices, key=lambda name: (name not in every_process, len(choices[name]), name)):
            if _ways({**kept, name: choices[name]}) <= MAX_TEXTS:
                kept[name] = choices[name]
        bounded[pair] = {name: values for name, values in choices.items() if name in kept}
        if dropped := tuple(name for name in choices if name not in kept):
            left_out.setdefault(dropped, []).append(" ".join(pair))
    return bounded, tuple(
        f"{', '.join(dropped)} of {', '.join(pairs)}: all its knobs could be set in more than"
        f" {MAX_TEXTS:,} ways; list those to turn in search.knobs"
        for dropped, pairs in left_out.items()
    )


def _ways(choices: KnobValues) -> int:
    """Count the ways to set these knobs, whether or not all of them may stand together."""
    return math.prod(len(values) for values in choices.values())


def require_knobs(
    configuration: Configuration, kind: str, isa: frozenset[str], find: Find = find_preload
) -> None:
    """Make sure that a configuration's engine reads its knobs and that they can be had here.

    Args:
        kind: of its model's source.

    Raises:
        UnsupportedError: one is not read, or cannot be had; with what helps.
    """
    backend, precision = configuration.backend, configuration.precision
    read = knobs_read(get_backend(backend), frozenset({kind}))
    for name, value in parse_knobs(configuration.knobs).items():
        if precision not in read.get(name, ()):
            where = _for_kinds(name, {kind}, {backend: (precision,)})
            raise UnsupportedError(
                f"{backend} {precision} does not read {name}{where}: it sets {known_knobs()[name].what}",
                remedy=f"leave it out, or name what reads it: {readers(name)}",
            )
        if reason := known_knobs()[name].why_not(value, Here(isa, find)):
            raise UnsupportedError(
                f"{name}={value} cannot be had here: {reason}", remedy="do that, or leave it out"
            )


def knob_statuses(isa: frozenset[str], find: Find = find_preload) -> tuple[KnobStatus, ...]:
    """Every knob, whether a study asks for it or not; no engine is imported."""
    readers = {name: knobs_read(backend) for name, backend in backends().items()}
    wanted = {name: knob.values for name, knob in known_knobs().items()}
    reasons = _reasons(wanted, wanted, Here(isa, find))
    return tuple(
        KnobStatus(
            name=name,
            what=knob.what,
            values=_here({name: knob.values}, reasons).get(name, knob.values[:1]),
            refused=reasons.get(name, {}),
            engines=tuple(engine for engine, knobs in readers.items() if name in knobs),
        )
        for name, knob in known_knobs().items()
    )


def _wanted(asked: KnobSearch) -> KnobValues:
    """The values that a study asks for, the usual ones first."""
    if asked == "none":
        return {}
    known = known_knobs()
    listed = {name: knob.values for name, knob in known.items()} if isinstance(asked, str) else asked
    return {name: tuple(dict.fromkeys((known[name].usual, *listed[name]))) for name in sorted(listed)}


def _for_kinds(name: str, kinds: Collection[str] | None, engines: Mapping[str, tuple[Precision, ...]]) -> str:
    """For which kinds of models no engine reads a knob at these precisions, where one does for others."""
    is_read = any(
        {*knobs_read(get_backend(engine)).get(name, ())} & {*precisions}
        for engine, precisions in engines.items()
    )
    return f" for {', '.join(sorted(kinds))}: models" if kinds and is_read else ""


def _here(choices: KnobValues, reasons: Mapping[str, Mapping[str, str]]) -> KnobValues:
    """The values that nothing speaks against; only of knobs that have one to turn to."""
    kept = {
        name: tuple(value for value in values if value not in reasons.get(name, {}))
        for name, values in choices.items()
    }
    return {name: values for name, values in kept.items() if len(values) > 1}


def _reasons(wanted: KnobValues, read: Iterable[str], here: Here) -> dict[str, dict[str, str]]:
    """Say why values cannot be had here, by knob; of knobs that are read."""
    known = known_knobs()
    found = {
        name: {value: reason for value in wanted[name][1:] if (reason := known[name].why_not(value, here))}
        for name in sorted(read)
    }
    return {name: reasons for name, reasons in found.items() if reasons}


def _refuse_missing(
    asked: Mapping[str, tuple[str, ...]],
    engines: Mapping[str, tuple[Precision, ...]],
    kinds: Collection[str] | None,
    read: Iterable[KnobValues],
    reasons: Mapping[str, Mapping[str, str]],
) -> None:
    known = {name for choices in read for name in choices}
    for name, values in asked.items():
        if name not in known:
            raise StudyFileError(
                f"no engine of this study reads {name}{_for_kinds(name, kinds, engines)}:"
                f" it sets {known_knobs()[name].what}",
                path=f"search.knobs.{name}",
                remedy=f"leave it out, or search what reads it: {readers(name)}",
            )
        for index, value in enumerate(values):
            if reason := reasons.get(name, {}).get(value):
                raise StudyFileError(
                    f"{value} cannot be had here: {reason}",
                    path=f"search.knobs.{name}[{index}]",
                    remedy="do that, or leave it out",
                )


def reasons_in_words(reasons: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence for each reason why values cannot be had.

    Args:
        reasons: by knob and value.
    """
    told: dict[str, dict[str, list[str]]] = {}
    for name, by_value in reasons.items():
        for value, reason in by_value.items():
            told.setdefault(reason, {}).setdefault(name, []).append(value)
    for reason, by_name in told.items():
        left_out = "; ".join(f"{name} {', '.join(values)}" for name, values in by_name.items())
        yield f"{left_out}: {reason}"


def _is_open(knob: Knob, configuration: Configuration) -> bool:
    """Say whether a knob can be turned for the model, of a study with several kinds of them."""
    if not knob.prepares or not configuration.model:
        return True
    kinds = frozenset({kind_of(configuration.model)})
    return knob.name in knobs_read(get_backend(configuration.backend), kinds)
