"""Finds, proves and exports the fastest way to serve a transformer encoder on a CPU machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotune.jobs.tuning import tune

__all__ = ["tune"]


def __getattr__(name: str) -> Any:
    """Import `tune` when it is first asked for, so that `import autotune` and its workers stay light."""
    if name == "tune":
        from autotune.jobs.tuning import tune

        return tune
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
