"""What every registered engine can do on this machine, whether a study asks for it or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autotune.backends.asking import why_unsupported
from autotune.backends.availability import documented_engines
from autotune.backends.protocol import Backend
from autotune.backends.registry import backends, missing_packages, package_versions
from autotune.spec.configuration import Precision
from autotune.spec.model_kind import MODEL_KINDS


@dataclass(frozen=True)
class EngineStatus:
    """One registered engine on one machine.

    Attributes:
        name: as written in study files.
        versions: of its packages, those that are installed.
        missing: its packages that are not.
        models: prefixes of the model sources that it runs here, such as `random` and `path`.
        precisions: those that it can have here.
        documented: those that its own documentation starts encoders at: what people start today.
        refused: why not, for each of its others.
        install_hint: the command that installs it.
    """

    name: str
    versions: Mapping[str, str]
    missing: tuple[str, ...]
    models: tuple[str, ...]
    precisions: tuple[Precision, ...]
    documented: tuple[Precision, ...]
    refused: Mapping[Precision, str]
    install_hint: str

    @property
    def is_installed(self) -> bool:
        """Whether everything that it needs is there."""
        return not self.missing

    @property
    def is_double(self) -> bool:
        """Whether all that it runs are models of formulas."""
        return bool(self.models) and all(MODEL_KINDS[kind].is_formula for kind in self.models)


def engine_statuses(isa: frozenset[str]) -> tuple[EngineStatus, ...]:
    """Every backend that can be imported, those of real models first; no engine is imported.

    What one that is not installed could do here is told like that of the others. `broken_backends` has those
    that cannot be imported.

    Args:
        isa: flags as in `Machine.isa`.
    """
    statuses = (_status(backend, isa) for backend in backends().values())
    return tuple(sorted(statuses, key=lambda status: status.is_double))


def _status(backend: Backend, isa: frozenset[str]) -> EngineStatus:
    offered = {
        kind: [one for one in backend.precisions if not why_unsupported(backend, one, isa, kind)]
        for kind in MODEL_KINDS
    }
    models = tuple(kind for kind, precisions in offered.items() if precisions)
    refusals = {
        precision: why_unsupported(backend, precision, isa, (*models, *MODEL_KINDS)[0])
        for precision in backend.precisions
        if not any(precision in offered[kind] for kind in models)
    }
    here = tuple(precision for precision in backend.precisions if precision not in refusals)
    return EngineStatus(
        name=backend.name,
        versions=package_versions(backend.packages),
        missing=missing_packages(backend),
        models=models,
        precisions=here,
        documented=tuple(one for _, one in documented_engines((backend.name, one) for one in here)),
        refused={precision: reason for precision, reason in refusals.items() if reason},
        install_hint=backend.install_hint,
    )
