"""Finds, proves and exports the fastest way to serve a transformer encoder on a CPU machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from autotune.events import Event
    from autotune.plan.document import Plan
    from autotune.spec.study import StudySpec

__all__ = ["tune"]


def tune(
    study: StudySpec | Path | str,
    *,
    store: str = "sqlite:///autotune.db",
    offline: bool = False,
    base: Path | None = None,
    emit: Callable[[Event], None] | None = None,
) -> Plan:
    """Measure configurations until the budget or the space is used up, and give the confirmed best as a plan.

    This is the job `autotune.jobs.tuning.tune`, with Ctrl-C as the command has it: the best so far is stored
    as a plan, every finished trial is kept, and the same call goes on from there.

    Args:
        study: a study file, or its values.
        store: database URL; created if it is not there.
        offline: never download.
        base: folder that relative model paths start from; the study file's, or the working directory.
        emit: is told of progress (`autotune.events`) between trials.

    Raises:
        AutotuneError: as `autotune.jobs.tuning.tune` does.
        KeyboardInterrupt: on Ctrl-C; its text names the plan that is stored, if there is one.
    """
    from autotune.events import unheard
    from autotune.jobs.interruption import Interruption, SearchHeard, signals_left_to_python
    from autotune.jobs.tuning import tune as tune_study
    from autotune.stop import Stop, Stopped

    heard, stop = SearchHeard(emit or unheard), Stop()
    try:
        with Interruption(stop, signals_left_to_python()):
            tuned = tune_study(study, store=store, offline=offline, base=base, emit=heard, stop=stop)
    except Stopped:
        where = "every finished trial is kept" if heard.has_begun else "before the search began"
        raise KeyboardInterrupt(where) from None
    if tuned.plan is None or tuned.stopped:
        raise KeyboardInterrupt(tuned.reason if tuned.plan is None else f"the best so far is {tuned.plan.id}")
    return tuned.plan
