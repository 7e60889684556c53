"""Dry runs over HTTP, in a process of their own: a stranger's study may have an absurd space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from autotune.errors import RequestError
from autotune.service.children import LONGEST_S, ask_child
from autotune.service.context import Context
from autotune.spec.study import StudySpec

MEASURING: Final = (
    "a job measures on this machine and the service has no cpu of its own, so the study was checked, and its "
    "space not laid out"
)


@dataclass(frozen=True)
class Ahead:
    """What a study would do.

    Attributes:
        document: as `autotune tune --dry-run --json` prints it; None where it was not laid out.
        lines: as `autotune tune --dry-run` prints it.
        skipped: why it was not laid out; empty where it was.
    """

    document: dict[str, Any] | None
    lines: tuple[str, ...] = ()
    skipped: str = ""


def look_ahead(context: Context, spec: StudySpec) -> Ahead:
    """Say what an admitted study would try here, and for how long; nothing is measured or stored.

    Raises:
        BusyError: others have asked for dry runs, too.
        RequestError: the space is too large to be laid out in time.
        AutotuneError: the study would be refused.
    """
    if not context.settings.cpus and context.queue.running(context.machine) is not None:
        return Ahead(None, skipped=MEASURING)
    asked = {"study": spec.model_dump(mode="json"), "offline": not context.settings.hub}
    try:
        answer = ask_child("outlook", asked)
    except TimeoutError:
        raise RequestError(
            f"the study's space cannot be laid out within {LONGEST_S:g} s",
            path="study.search",
            remedy="name fewer values in `search`",
        ) from None
    return Ahead(answer["document"], tuple(answer["lines"]))
