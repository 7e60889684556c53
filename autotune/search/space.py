"""The legal configurations of a study on a machine, each with its placement."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autotune.backends.availability import Engines, documented_engines
from autotune.errors import PlacementError, StudyFileError
from autotune.machine.cpus import format_cpu_list, parse_cpu_list
from autotune.machine.machine import Machine
from autotune.model.arranging import MAX_SHAPES
from autotune.placement.place import place, placement_of
from autotune.placement.placement import Placement
from autotune.placement.policies import Ground, Taken
from autotune.placement.smaller import smaller, usable_cores
from autotune.search.bounds import (
    chosen_engines,
    core_counts,
    grounds,
    instance_counts,
    policies,
    thread_counts,
)
from autotune.search.expectations import Expectation, expectations
from autotune.search.knobs import NOTHING_TO_TURN, KnobSpace
from autotune.search.recipes import by_promise, leading_choices, recipe_shapes
from autotune.search.serving import Serving, is_compilable, keeps_answers, servings, usual_serving
from autotune.search.symmetry import Symmetry
from autotune.spec.configuration import Configuration, PlacementPolicy, Prepared
from autotune.spec.model_source import model_kind
from autotune.spec.scenario import traits_of
from autotune.spec.study import StudySpec


@dataclass(frozen=True)
class SearchSpace:
    """What a study searches on a machine.

    Attributes:
        configurations: all legal ones, model by engine, most promising first; of those whose placements are
            the same but for names, one.
        placements: of each of them.
        size_before_symmetry: how many names they have together.
        baseline: one instance as it comes out of the box; not among the configurations.
        recipes: those of the configurations that are known to do well, which come first among equals.
        knobs: what may be turned on the best of them.
        defaults: what each engine does as its documentation starts it, but for the baseline; not among the
            configurations either.
        expected: of all that may be prepared, as long as nothing was looked at on this machine.
    """

    configurations: tuple[Configuration, ...]
    placements: Mapping[Configuration, Placement]
    size_before_symmetry: int
    baseline: Configuration
    recipes: tuple[Configuration, ...]
    knobs: KnobSpace = NOTHING_TO_TURN
    defaults: tuple[Configuration, ...] = ()
    expected: Mapping[Prepared, Expectation] = field(default_factory=dict)


_Choice = tuple[Prepared, Serving]
"""All of a configuration but its layout and its knobs."""


@dataclass(frozen=True, eq=False)
class _Layout:
    """All of a configuration but what is prepared for it, and the slots that its instances take."""

    instances: int
    threads: int
    policy: PlacementPolicy
    sockets: str
    smt: bool
    slots: Taken
    cores: int = 0

    def running(self, choice: _Choice) -> Configuration:
        one, (padding, batching) = choice
        return Configuration(
            self.instances, self.threads, self.policy, self.sockets, self.smt, one.backend, one.precision,
            one.model, padding, batching, cores=self.cores,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Field:
    """Some sockets of this machine, or of a smaller one, where instances may be put.

    Attributes:
        cores: of the smaller machine; 0 = of this one.
        budget: threads that may run there.
    """

    cores: int
    budget: int
    sockets: str
    smt: bool
    ground: Ground


def build_space(
    spec: StudySpec,
    machine: Machine,
    engines: Engines,
    *,
    by_variant: Mapping[str, Engines] | None = None,
    sizes: Mapping[str, float] | None = None,
    compiling: frozenset[str] = frozenset(),
    unmasked: Sequence[str] = (),
) -> SearchSpace:
    """Enumerate and place every legal configuration within the study's bounds.

    Each layout is placed once and shared by all models, engines and precisions. Of equal placements
    (`autotune.search.symmetry`) the first name is kept: that of the smallest machine, which costs least,
    without SMT before with it, fewest sockets first, then by `POLICY_ORDER`.

    Args:
        engines: the precisions of every backend that can be used on this machine.
        by_variant: those of them that can run each of `StudySpec.variants`; by default all.
        sizes: of the variants, as far as they are known: see `expectations`.
        compiling: names of those that compile for every shape of request.
        unmasked: the variants that are known to have no attention mask.

    Raises:
        StudyFileError: a value that the study lists can never be legal here; says why, and what could.
    """
    possible = tuple(_choices(spec, engines, by_variant or {}))
    expected = expectations(possible, {}, sizes)
    promising = by_promise(possible, expected)
    choices = tuple(_served(spec, promising, compiling, unmasked))
    searched = list(_fields(spec, machine))
    legal = [layout for field in searched for layout in _layouts(spec, field)]
    _refuse_unused(spec, machine, legal)
    symmetry = Symmetry(machine)
    keys = [symmetry.key(layout.threads, layout.slots) for layout in legal]
    kept: dict[Hashable, _Layout] = {}
    for key, layout in zip(keys, legal, strict=True):
        kept.setdefault(key, layout)
    names = {id(layout): kept[key] for key, layout in zip(keys, legal, strict=True)}
    placements = _placements(kept.values(), choices)
    return SearchSpace(
        configurations=tuple(placements),
        placements=placements,
        size_before_symmetry=len(legal) * len(choices),
        baseline=baseline_configuration(spec, machine, unmasked),
        defaults=default_configurations(spec, machine, engines, compiling, unmasked),
        recipes=_recipes(legal, names, searched, choices),
        expected=expected,
    )


def _choices(spec: StudySpec, engines: Engines, by_variant: Mapping[str, Engines]) -> Iterator[Prepared]:
    """Every variant with every engine that can run it."""
    chosen = chosen_engines(spec.search, engines)
    for model in spec.variants:
        able = by_variant.get(model, engines)
        for backend, precision in chosen:
            if precision in able.get(backend, ()):
                yield Prepared(model, backend, precision)


def _served(
    spec: StudySpec, promising: Sequence[Prepared], compiling: frozenset[str], unmasked: Sequence[str]
) -> Iterator[_Choice]:
    """Each with every way to serve requests that it is of use for, most promising first.

    Raises:
        StudyFileError: none is left.
    """
    ways = servings(spec, unmasked)
    served = [
        (one, way)
        for one in promising
        for way in ways
        if keeps_answers(spec, one.model, way, unmasked)
        and (one.backend not in compiling or is_compilable(spec, way))
    ]
    if not served:
        raise StudyFileError(
            f"{promising[0].backend} compiles for every shape, and requests have more than {MAX_SHAPES}",
            path="search.padding",
            remedy="allow padding max or bucket with batching arrival, or other engines",
        )
    yield from served


def _fields(spec: StudySpec, machine: Machine) -> Iterator[_Field]:
    """Where to search, on the smallest machine first; sockets that a smaller one lacks are left out of it."""
    counts = core_counts(spec.search, machine)
    for cores in counts:
        part = smaller(machine, cores)
        try:
            for sockets, smt, ground in grounds(spec.search, part):
                yield _Field(cores, part.thread_budget, sockets, smt, ground)
        except StudyFileError:
            if cores == counts[-1]:
                raise


def _layouts(spec: StudySpec, field: _Field) -> Iterator[_Layout]:
    """Every legal layout on one field."""
    budget, ground = field.budget, field.ground
    parts = spec.problem.batch_size if traits_of(spec.scenario).is_split else budget
    for threads in thread_counts(spec.search, ground, budget):
        most = min(budget // threads, parts)
        for instances in instance_counts(spec.search, ground, threads, budget):
            for policy in policies(spec.search) if instances <= most else ():
                slots = ground.take(policy, instances, threads)
                if slots is not None:
                    yield _Layout(instances, threads, policy, field.sockets, field.smt, slots, field.cores)


def _placements(layouts: Iterable[_Layout], choices: Sequence[_Choice]) -> dict[Configuration, Placement]:
    """One choice after the other; all share the placements."""
    placed = [(layout, placement_of(layout.slots)) for layout in layouts]
    return {layout.running(one): placement for one in choices for layout, placement in placed}


def baseline_configuration(spec: StudySpec, machine: Machine, unmasked: Sequence[str] = ()) -> Configuration:
    """One instance as it comes out of the box: PyTorch (or what else runs the model) at fp32, not pinned.

    Of several models, of the first; sequences of different lengths are filled up to the longest as they come,
    unless that would change the answers.

    Args:
        unmasked: the variants that are known to have no attention mask.
    """
    padding, batching = usual_serving(spec, unmasked)
    return Configuration(
        instances=1,
        threads_per_instance=0,
        placement="unpinned",
        sockets=_all_sockets(machine),
        smt=False,
        backend=model_kind(spec.models[0]).usual_engine,
        precision="fp32",
        model=spec.variants[0],
        padding=padding,
        batching=batching,
    )


def default_configurations(
    spec: StudySpec,
    machine: Machine,
    engines: Engines,
    compiling: frozenset[str] = frozenset(),
    unmasked: Sequence[str] = (),
) -> tuple[Configuration, ...]:
    """What each engine that is searched does as its own documentation starts it: all but the baseline.

    One process with the engine's own thread count, not pinned, as the baseline is; of several models, the
    first.
    """
    baseline = baseline_configuration(spec, machine, unmasked)
    documented = documented_engines(chosen_engines(spec.search, engines))
    found = (replace(baseline, backend=backend, precision=precision) for backend, precision in documented)
    return tuple(
        configuration
        for configuration in found
        if configuration != baseline
        and (configuration.backend not in compiling or is_compilable(spec, usual_serving(spec, unmasked)))
    )


def _recipes(
    legal: Sequence[_Layout],
    names: Mapping[int, _Layout],
    searched: Sequence[_Field],
    choices: Sequence[_Choice],
) -> tuple[Configuration, ...]:
    """The recipes on the most sockets, instances as far apart as they go, under the names that were kept.

    In the order that `autotune.search.recipes` explains; of several machines, the largest one's first.
    """
    counts = sorted({field.cores for field in searched}, reverse=True)
    shaped = [layout for cores in counts for layout in _recipe_layouts(legal, searched, cores)]
    layouts = tuple(dict.fromkeys(names[id(layout)] for layout in shaped))
    best = dict(reversed(choices))
    leading, looked_at = leading_choices(tuple(dict.fromkeys(one for one, _ in choices)))
    return (
        *(layout.running((one, best[one])) for one in leading for layout in layouts),
        *(layout.running((one, best[one])) for one in looked_at for layout in layouts[:1]),
    )


def _recipe_layouts(legal: Sequence[_Layout], searched: Sequence[_Field], cores: int) -> Iterator[_Layout]:
    """The layouts of the recipes' shapes on one machine."""
    fields = [field for field in searched if field.cores == cores]
    most = next(field for field in reversed(fields) if field.smt == fields[0].smt)
    of_shape = {
        (layout.instances, layout.threads): layout
        for layout in legal
        if (layout.cores, layout.sockets, layout.smt) == (cores, most.sockets, most.smt)
    }
    return (of_shape[shape] for shape in recipe_shapes(most.ground, most.budget) if shape in of_shape)


def _refuse_unused(spec: StudySpec, machine: Machine, legal: Sequence[_Layout]) -> None:
    """Refuse listed values that no legal layout has."""
    search = spec.search
    fields: tuple[tuple[str, str, Any], ...] = (
        ("smt", "smt", search.smt if search.smt == (True,) else "auto"),
        ("sockets", "sockets", search.sockets),
        ("threads", "threads", search.threads),
        ("instances", "instances", search.instances),
        ("placements", "policy", search.placements),
        ("cores", "cores", _counted(search.cores, machine)),
    )
    for bound, attribute, listed in fields:
        used = {getattr(layout, attribute) for layout in legal}
        for index, value in enumerate(listed if listed != "auto" else ()):
            if value not in used:
                raise _never_legal(spec, machine, bound, index, value)
    if not legal:
        raise StudyFileError(
            f"no configuration is legal with {machine.thread_budget} threads",
            path="search",
            remedy="widen the bounds: auto allows everything that is legal",
        )


def _counted(cores: str | Sequence[int | str], machine: Machine) -> str | tuple[int, ...]:
    """What a study lists, with the number of all cores in the place of the word."""
    if isinstance(cores, str):
        return cores
    return tuple(usable_cores(machine) if isinstance(one, str) else one for one in cores)


def _never_legal(spec: StudySpec, machine: Machine, field: str, index: int, value: Any) -> StudyFileError:
    """Why a listed value is never legal, told of the easiest configuration that has it."""
    path = f"search.{field}[{index}]"
    easiest = _easiest(spec, machine, **{field: value})
    if traits_of(spec.scenario).is_split and easiest.instances > spec.problem.batch_size:
        most = spec.problem.batch_size
        return StudyFileError(
            f"{easiest.instances} instances cannot share a request of {most} sequences",
            path=path,
            remedy=f"list at most {most} instances, or raise problem.batch_size",
        )
    try:
        place(easiest, machine)
    except PlacementError as error:
        return StudyFileError(f"{value}: {error.problem}", path=path, remedy=error.remedy)
    return StudyFileError(
        f"{value} is never legal together with the study's other bounds",
        path=path,
        remedy="widen the other bounds, or leave it out",
    )


def _easiest(spec: StudySpec, machine: Machine, **fixed: Any) -> Configuration:
    """The configuration within the study's bounds that needs the least."""
    search = spec.search
    choice: dict[str, Any] = {
        "instances": 1 if search.instances == "auto" else min(search.instances),
        "threads": 1 if search.threads == "auto" else min(search.threads),
        "placements": policies(search)[0],
        "sockets": _all_sockets(machine) if search.sockets == "auto" else max(search.sockets, key=_extent),
        "smt": min(search.smt),
        "cores": core_counts(search, machine)[-1],
    } | fixed
    return Configuration(
        choice["instances"], choice["threads"], choice["placements"], choice["sockets"], choice["smt"],
        backend="", precision="fp32", cores=choice["cores"],
    )  # fmt: skip


def _all_sockets(machine: Machine) -> str:
    return format_cpu_list(range(len(machine.packages)))


def _extent(sockets: str) -> int:
    return len(parse_cpu_list(sockets))
