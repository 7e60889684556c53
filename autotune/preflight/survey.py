"""What a study would search on this machine: engines that can run its models, and the legal space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autotune.backends.availability import (
    Engines,
    available_engines,
    compiling_engines,
    engines_of,
    model_kinds,
)
from autotune.errors import PlacementError
from autotune.machine.machine import Machine
from autotune.model.found import FoundStudy
from autotune.model.variants import activations_of, sizes_of, weights_of
from autotune.search.knobs import knob_space
from autotune.search.room import Least, with_room
from autotune.search.second_stage import second_stage
from autotune.search.serving import compilable_in_words
from autotune.search.space import SearchSpace, build_space
from autotune.spec.study import StudySpec


@dataclass(frozen=True)
class Survey:
    """What a study would search on this machine.

    Attributes:
        by_variant: those of the engines that can run each model.
        left_out: engines, precisions, knobs and configurations that are not searched, and why.
        warnings: of what may run out of memory; empty before `weighed`.
        unmasked: the variants that are known to have no attention mask; none before `weighed`.
    """

    spec: StudySpec
    machine: Machine
    engines: Engines
    by_variant: Mapping[str, Engines]
    space: SearchSpace
    left_out: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()

    def weighed(self, found: FoundStudy) -> Survey:
        """Leave out what has no room in memory or pads needlessly, and order several models by their sizes.

        Raises:
            PlacementError: the baseline has no room in memory, or nothing has.
        """
        ordered, models = self._ordered(found), found.models
        least = Least(weights_of(models), activations_of(models), self.spec)
        space, without_room, warnings = with_room(ordered.space, self.machine, least)
        return replace(ordered, space=space, left_out=(*self.left_out, *without_room), warnings=warnings)

    def _ordered(self, found: FoundStudy) -> Survey:
        """Order several models by their sizes, and leave out padding where there is no mask."""
        models, stored = found.models, found.stored
        if len(models) < 2 and not stored.unmasked:
            return self
        space = build_space(
            stored,
            self.machine,
            self.engines,
            by_variant=self.by_variant,
            sizes=sizes_of(models),
            compiling=compiling_engines(self.engines),
            unmasked=stored.unmasked,
        )
        return replace(self, space=replace(space, knobs=self.space.knobs), unmasked=stored.unmasked)


def survey(spec: StudySpec, machine: Machine) -> Survey:
    """Lay out the legal space of a study on a machine; nothing is written.

    Raises:
        BackendError: no engine can run the study, or one that it names is not there.
        StudyFileError: a bound, or all of them together, leave nothing that is legal on this machine.
        PlacementError: the CPU quota is less than one cpu.
    """
    if machine.quota_is_too_small:
        raise PlacementError(
            f"the CPU quota of {machine.quota_cpus:g} cpus is too small for one thread",
            remedy="raise the quota of the cgroup or container to at least 1 cpu",
        )
    engines, left_out = available_engines(spec, machine)
    by_variant = {
        variant: engines_of(source, engines, spec, machine)
        for variant, source in zip(spec.variants, spec.models, strict=True)
    }
    knobs, missing = knob_space(spec.search.knobs, engines, machine.isa, kinds=model_kinds(spec))
    left_out += missing if second_stage(spec, knobs) else ()
    compiling = compiling_engines(engines)
    left_out += filter(None, (compilable_in_words(name, spec) for name in sorted(compiling)))
    space = build_space(spec, machine, engines, by_variant=by_variant, compiling=compiling)
    space = replace(space, knobs=knobs)
    return Survey(spec, machine, engines, by_variant, space, tuple(left_out))
