"""Says what the threads of an instance's processes prove of the plan's threads.

An engine that computes with T threads has T - 1 of its own beside the one that calls it: a process with fewer
than T threads does not compute with T. More prove nothing: a server has threads of its own, and which are the
engine's nobody outside can tell. What each has computed can be told. So a process in which more threads have
computed than the plan has, and one for the server, is named, and not judged: the engine's pool may be larger,
or the server may call the engine from several threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from autotune.launched.findings import Finding, alike, differing, untold
from autotune.launched.read import RunningProcess, RunningThread
from autotune.units import format_count

COMPUTING_SHARE: Final = 0.25
"""A thread has computed that took so large a part of the cpu time of the busiest one."""
LEAST_S: Final = 0.1
"""Below this, the kernel's clock of 10 ms says nothing."""

_LOAD: Final = "have it answer some requests, and look again; if that helps nothing, start it by a launch"
_OWN: Final = "have the session take its threads from the plan: autotune.runtime.load(), or session_options()"


def compare_threads(threads: int, running: Sequence[RunningProcess]) -> Iterator[Finding]:
    """Compare the threads of an instance's busiest process with the plan's.

    Args:
        threads: intra-op threads of the plan; 0 = the engine's default.
    """
    process = max(running, key=lambda process: (len(computing(process.threads)), len(process.threads)))
    there, busy = len(process.threads), len(computing(process.threads))
    has = f"it has {format_count(there, 'thread')}, of which {busy} have computed"
    if threads == 0:
        yield alike("threads", f"{has}; the plan leaves their number to the engine")
    elif there < threads:
        said = f"it has {format_count(there, 'thread')}, and the plan computes with {threads}"
        yield differing("threads", said, (process.pid,), _LOAD)
    elif busy > threads + 1:
        said = (
            f"{has}, and the plan has {threads}: whether the engine's pool is larger, or the server calls it "
            "from several threads, does not show"
        )
        yield untold("threads", said, (process.pid,), _OWN)
    else:
        yield alike("threads", f"{has}; the plan's {threads} are the least")


def computing(threads: Sequence[RunningThread]) -> tuple[RunningThread, ...]:
    """Give the threads that have computed for a time worth speaking of, beside the busiest of them."""
    most_s = max((thread.cpu_s for thread in threads), default=0.0)
    return tuple(thread for thread in threads if thread.cpu_s >= max(LEAST_S, COMPUTING_SHARE * most_s))
