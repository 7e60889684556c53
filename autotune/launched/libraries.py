"""Compares the libraries that an instance's processes have loaded with those that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from autotune.launched.environment import preloaded_names
from autotune.launched.expected import Expected
from autotune.launched.findings import Finding, alike, differing, untold
from autotune.launched.read import RunningProcess
from autotune.placement.knobs import PRELOAD_VARIABLE

_ANSWER: Final = "have the server load its model, and look again"


def compare_libraries(expected: Expected, running: Sequence[RunningProcess]) -> Iterator[Finding]:
    """Compare the versions of what computes, and whether what the plan preloads is there."""
    pids = tuple(process.pid for process in running)
    readable = [process for process in running if process.mapped is not None]
    if not readable:
        why = running[0].unread.get("files", "the kernel does not say")
        yield untold("libraries", f"what it has loaded may not be read: {why}", pids)
        return
    names = {path.rpartition("/")[2] for process in readable for path in process.mapped or ()}
    for preloaded in preloaded_names(expected.environment.get(PRELOAD_VARIABLE, "")):
        if not any(name.startswith(preloaded) for name in names):
            yield differing("libraries", f"{preloaded} is not loaded, which the plan preloads", pids)
    stated = expected.versions
    loaded = {name: version for process in readable for name, version in process.versions.items()}
    for name, version in loaded.items():
        if version != stated[name]:
            said = f"{name} is {version}, and the plan was measured with {stated[name]}"
            yield differing("libraries", said, pids, f"pip install {name}=={stated[name]}, and start it anew")
    right = [f"{name} {version}" for name, version in loaded.items() if version == stated[name]]
    if right:
        yield alike("libraries", f"it has loaded {', '.join(right)}")
    elif stated and not loaded:
        said = f"it has loaded no library of {' or '.join(stated)}"
        yield untold("libraries", said, pids, _ANSWER)
