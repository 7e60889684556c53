"""Serves a model as a plan measured it, in your own process: `session = autotune.runtime.load()`.

Importing this costs next to nothing, and neither the import nor `load` pulls in what tunes (Optuna,
SQLAlchemy, pydantic). See `docs/runtime.md` for who should use which of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from autotune.runtime.configuring import EngineSettings
    from autotune.runtime.differences import Tolerance
    from autotune.runtime.encoding import SentenceEncoder
    from autotune.runtime.pipelines import TextPipeline
    from autotune.runtime.session import MeasuredSession

__all__ = ["configure", "load", "pipeline", "sentence_transformer", "session_options"]


def load(
    plan: Path | str | None = None,
    instance: int | None = None,
    *,
    differences: Tolerance | None = None,
    tokenizer: Path | str | None = None,
    digests: bool = False,
) -> MeasuredSession:
    """Load the session that a plan measured: its artifact, at its precision, with its threads and knobs.

    Args:
        plan: a plan's JSON document, or a folder with `plan.json` in it, such as a bundle; None = the one
            that started this process (`AUTOTUNE_PLAN`).
        instance: which of the plan's instances this is; None = the one that this process was started as
            (`AUTOTUNE_INSTANCE`), else the first.
        differences: what becomes of a process that is not as the plan says: `refuse` it, or `warn`. By
            default as the variable AUTOTUNE_DIFFERENCES says; else it is refused where the plan started it,
            and warned of elsewhere. What the artifact cannot do without is refused in any case.
        tokenizer: the model's `tokenizer.json`, where it is not beside the plan's model any more.
        digests: whether to read all of the artifact's files again and compare their digests; without, only
            those whose time of change is another one.

    Raises:
        PlanError: there is no plan, or the document is none.
        DifferenceError: the process, its machine, packages or artifact are others than the plan's.
        BackendError: the plan's engine is not installed.
    """
    from autotune.runtime.loading import load_session_of
    from autotune.runtime.planned import find_planned

    return load_session_of(find_planned(plan, instance), differences, tokenizer, digests=digests)


def configure(plan: Path | str | None = None, instance: int | None = None) -> EngineSettings:
    """Set the plan's threads and options in this process, for whoever makes a session of their own.

    Returns:
        The plan's engine, precision, threads and knobs, and `options` for the engine's own session, where it
        takes any.

    Raises:
        PlanError, BackendError: as from `load`.
    """
    from autotune.runtime.configuring import configure_as
    from autotune.runtime.planned import find_planned

    return configure_as(find_planned(plan, instance))


def session_options(plan: Path | str | None = None, instance: int | None = None) -> Any:
    """Give the options that the plan's engine makes a session with, such as ONNX Runtime's `SessionOptions`.

    Raises:
        ServingError: the plan's engine takes none.
        PlanError, BackendError: as from `load`.
    """
    from autotune.runtime.configuring import options_of
    from autotune.runtime.planned import find_planned

    return options_of(find_planned(plan, instance))


def sentence_transformer(session: MeasuredSession | Path | str | None = None) -> SentenceEncoder:
    """Answer as sentence-transformers' `SentenceTransformer` does, from a measured session.

    Args:
        session: from `load`, or the plan that `load` is to load; None = the one that started this process.

    Raises:
        ServingError: it is neither, or the plan does not serve sentence embeddings.
        PlanError, DifferenceError, BackendError: as from `load`.
    """
    from autotune.runtime.encoding import SentenceEncoder

    return SentenceEncoder(_session_of(session))


def pipeline(task: str, session: MeasuredSession | Path | str | None = None) -> TextPipeline:
    """Answer as transformers' `pipeline` does, from a measured session.

    Args:
        task: `text-classification` (or `sentiment-analysis`), or `feature-extraction`.
        session: from `load`, or the plan that `load` is to load; None = the one that started this process.

    Raises:
        ServingError: it is neither, there is no such task here, or the plan's model is not for it.
        PlanError, DifferenceError, BackendError: as from `load`.
    """
    from autotune.runtime.pipelines import make_pipeline

    return make_pipeline(task, _session_of(session))


def _session_of(given: MeasuredSession | Path | str | None) -> MeasuredSession:
    """Give the session itself, or load that of the plan."""
    from os import PathLike

    if given is None or isinstance(given, str | PathLike):
        return load(given)
    from autotune.errors import ServingError
    from autotune.runtime.session import MeasuredSession

    if not isinstance(given, MeasuredSession):
        raise ServingError(
            f"{given!r:.60} is neither a session nor a plan",
            remedy="give what autotune.runtime.load() gives, or the path of a plan's document",
        )
    return given
