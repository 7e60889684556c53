"""Which engines and precisions a study can search on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autotune.backends.asking import why_unsupported
from autotune.backends.protocol import Backend, CompilesShapes, Documented
from autotune.backends.registry import (
    backends,
    broken_backends,
    get_backend,
    missing_packages,
    require_backend,
)
from autotune.errors import BackendError, UnsupportedError
from autotune.machine.machine import Machine
from autotune.spec.configuration import PRECISIONS, Configuration, Precision
from autotune.spec.model_kind import MODEL_KINDS, OWN_ENGINES
from autotune.spec.model_source import kind_of
from autotune.spec.study import StudySpec

Engines = Mapping[str, tuple[Precision, ...]]
"""Precisions by backend."""


def available_engines(
    spec: StudySpec, machine: Machine
) -> tuple[dict[str, tuple[Precision, ...]], list[str]]:
    """Every backend that the study may use, with its precisions; and why the others are left out.

    Of several models, those that can run at least one of them. No engine is imported.

    Raises:
        BackendError: a backend that the study names is unknown, broken or not installed, or nothing is left
            for one of the models.
    """
    engines: dict[str, tuple[Precision, ...]] = {}
    reasons = list(broken_backends()) if spec.search.backends == "auto" else []
    for backend in _candidates(spec):
        engines[backend.name], refused = _usable(backend, spec, machine)
        reasons += refused
    usable = {name: precisions for name, precisions in engines.items() if precisions}
    for source in spec.models:
        if not engines_of(source, usable, spec, machine):
            raise BackendError(
                f"no engine can run {source} here: {'; '.join(reasons)}",
                remedy="widen search.backends or search.precisions: `autotune engines` says what there is",
            )
    return usable, reasons


def engines_of(source: str, engines: Engines, spec: StudySpec, machine: Machine) -> Engines:
    """Those of the available engines that can run one of the study's models."""
    kind = kind_of(source)
    able = {
        name: tuple(
            precision
            for precision in precisions
            if not why_unsupported(get_backend(name), precision, machine.isa, kind)
        )
        for name, precisions in engines.items()
        if _is_meant(name, kind, spec)
    }
    return {name: precisions for name, precisions in able.items() if precisions}


def compiling_engines(names: Iterable[str]) -> frozenset[str]:
    """Those that compile for every shape of request."""
    return frozenset(name for name in names if isinstance(get_backend(name), CompilesShapes))


def require_engine(configuration: Configuration, spec: StudySpec, machine: Machine) -> None:
    """Make sure that a configuration's engine can run its model here; no engine is imported.

    Raises:
        BackendError: it is unknown, broken or not installed.
        UnsupportedError: it has no use for this precision here, or for this kind of model.
    """
    backend, source = require_backend(configuration.backend), spec.source_of(configuration)
    _require_installed(backend)
    if reason := why_unsupported(backend, configuration.precision, machine.isa, kind_of(source)):
        raise UnsupportedError(
            f"{backend.name} {configuration.precision} cannot run {source} here: {reason}",
            remedy="choose an engine and a precision that `autotune tune --dry-run` lists",
        )


def documented_engines(pairs: Iterable[tuple[str, Precision]]) -> tuple[tuple[str, Precision], ...]:
    """Those of these engines and precisions that an engine's own documentation starts with."""
    return tuple((name, precision) for name, precision in pairs if precision in _documented(name))


def _documented(name: str) -> tuple[Precision, ...]:
    backend = backends().get(name)
    return backend.documented if isinstance(backend, Documented) else ("fp32",)


def model_kinds(spec: StudySpec) -> frozenset[str]:
    """The kinds of the study's model sources."""
    return frozenset(map(kind_of, spec.models))


def _is_meant(name: str, kind: str, spec: StudySpec) -> bool:
    """Whether a backend is thought of for this kind of model: of `auto`, the one that it has for its own."""
    if spec.search.backends != "auto":
        return True
    traits = MODEL_KINDS[kind]
    return name == traits.usual_engine if traits.has_own_engine else name not in OWN_ENGINES


def _candidates(spec: StudySpec) -> list[Backend]:
    """The named backends; for `auto`, those that are thought of for one of the models."""
    if spec.search.backends != "auto":
        named = [require_backend(name) for name in dict.fromkeys(spec.search.backends)]
        for backend in named:
            _require_installed(backend)
        return named
    kinds = {kind_of(source) for source in spec.models}
    return [one for name, one in backends().items() if any(_is_meant(name, kind, spec) for kind in kinds)]


def _require_installed(backend: Backend) -> None:
    missing = missing_packages(backend)
    if missing:
        raise BackendError(
            f"{backend.name} needs {', '.join(missing)}, which is not installed here",
            remedy=f"install it: {backend.install_hint}",
        )


def _usable(backend: Backend, spec: StudySpec, machine: Machine) -> tuple[tuple[Precision, ...], list[str]]:
    """The precisions of this backend that are of use, and why the others are not."""
    missing = missing_packages(backend)
    if missing:
        return (), [f"{backend.name} is not installed ({', '.join(missing)}): {backend.install_hint}"]
    asked = spec.search.precisions
    wanted = backend.precisions if asked == "auto" else tuple(p for p in PRECISIONS if p in asked)
    meant = [source for source in spec.models if _is_meant(backend.name, kind_of(source), spec)]
    usable: list[Precision] = []
    reasons: list[str] = []
    for precision in wanted:
        found = {one: why_unsupported(backend, precision, machine.isa, kind_of(one)) for one in meant}
        refused = {source: reason for source, reason in found.items() if reason}
        if len(refused) < len(meant):
            usable.append(precision)
            reasons += [f"{backend.name} {precision} of {one}: {reason}" for one, reason in refused.items()]
        else:
            reasons.append(f"{backend.name} {precision}: {'; '.join(dict.fromkeys(refused.values()))}")
    return tuple(usable), reasons
