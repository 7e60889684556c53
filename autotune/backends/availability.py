"""Which engines and precisions a study can search on this machine."""

from __future__ import annotations

from autotune.backends.protocol import Backend
from autotune.backends.registry import backends, broken_backends, get_backend, missing_packages
from autotune.errors import BackendError, UnsupportedError
from autotune.machine.machine import Machine
from autotune.spec.configuration import PRECISIONS, Configuration, Precision
from autotune.spec.study import StudySpec


def available_engines(
    spec: StudySpec, machine: Machine
) -> tuple[dict[str, tuple[Precision, ...]], list[str]]:
    """Every backend that the study may use, with its precisions; and why the others are left out.

    No engine is imported.

    Raises:
        BackendError: a backend that the study names is unknown, broken or not installed, or nothing is left.
    """
    engines: dict[str, tuple[Precision, ...]] = {}
    reasons = list(broken_backends()) if spec.search.backends == "auto" else []
    for backend in _candidates(spec):
        engines[backend.name], refused = _usable(backend, spec, machine)
        reasons += refused
    usable = {name: precisions for name, precisions in engines.items() if precisions}
    if not usable:
        raise BackendError(
            f"no engine can run {spec.model} here: {'; '.join(reasons)}",
            remedy="widen search.backends or search.precisions: `autotune engines` says what there is",
        )
    return usable, reasons


def require_engine(configuration: Configuration, spec: StudySpec, machine: Machine) -> None:
    """Make sure that a configuration's engine can run the study's model here; no engine is imported.

    Raises:
        BackendError: it is unknown, broken or not installed.
        UnsupportedError: it has no use for this precision here, or for this kind of model.
    """
    backend = get_backend(configuration.backend)
    _require_installed(backend)
    if reason := backend.unsupported(configuration.precision, machine.isa, _kind(spec)):
        raise UnsupportedError(
            f"{backend.name} {configuration.precision} cannot run {spec.model} here: {reason}",
            remedy="choose an engine and a precision that `autotune tune --dry-run` lists",
        )


def _kind(spec: StudySpec) -> str:
    """The prefix of the model's source."""
    return spec.model.partition(":")[0]


def _candidates(spec: StudySpec) -> list[Backend]:
    """The named backends; for `auto`, the fake one for a fake model and every other for a real one."""
    if spec.search.backends != "auto":
        named = [get_backend(name) for name in dict.fromkeys(spec.search.backends)]
        for backend in named:
            _require_installed(backend)
        return named
    fake = spec.model.startswith("fake:")
    return [backend for name, backend in backends().items() if (name == "fake") == fake]


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
    kind = _kind(spec)
    asked = spec.search.precisions
    wanted = backend.precisions if asked == "auto" else tuple(p for p in PRECISIONS if p in asked)
    refusals = {precision: backend.unsupported(precision, machine.isa, kind) for precision in wanted}
    usable = tuple(precision for precision, reason in refusals.items() if reason is None)
    return usable, [
        f"{backend.name} {precision}: {reason}" for precision, reason in refusals.items() if reason
    ]
