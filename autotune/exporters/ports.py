"""Whether a launch's servers are told where to listen, and what to say where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from autotune.plan.launch import Launch

PORT_REMEDY: Final = "write {port} into the command, as in 'uvicorn app:app --port {port}'"


def listens(launch: Launch) -> bool:
    """Tell whether every instance is given a port."""
    return all(instance.port is not None for instance in launch.instances)


def portless_notes(launch: Launch, lacking: str) -> Iterator[str]:
    """Say what the files lack where the command has no `{port}`, as that of a queue's reader; else nothing.

    Args:
        lacking: what the target leaves out then, as a clause.
    """
    if not listens(launch):
        yield f"The command has no {{port}}, so {lacking}. If your server listens, {PORT_REMEDY}."
