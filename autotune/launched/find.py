"""Finds the running processes of a plan by what every launch sets in them, or by their ids.

A process belongs to an instance where its environment names the plan's document and the instance, whoever
started it. So do its children, which inherit both, and those of its children that do not. Of the document
its id counts, not its path. This process, and whoever started it, are nobody's instance: a shell inside a
container may have the container's variables. Neither is what an instance's process has started as another
instance, such as the servers of a script that starts them all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from autotune.errors import PlanError, ServingError
from autotune.launched.hidden import HiddenProcess, hidden_processes
from autotune.launched.proc import ProcFiles
from autotune.spec.launched import INSTANCE_VARIABLE, PLAN_VARIABLE

MEASURING: Final = ("autotune.worker.", "autotune.trial.conduct")
"""Modules that autotune's own measuring processes run: those of trials, or of a launch without a server."""

_MAX_DIGITS: Final = 9


@dataclass(frozen=True)
class SeenProcess:
    """What is known of a process before it is read back.

    Attributes:
        environment: None where it may not be read.
    """

    pid: int
    parent: int
    words: tuple[str, ...]
    environment: Mapping[str, str] | None

    @property
    def is_measuring(self) -> bool:
        """Whether it is autotune's own worker, load generator or conductor."""
        return any(word.startswith(MEASURING) for word in self.words)


@dataclass(frozen=True)
class OtherPlan:
    """Processes that were launched of another plan, or of a document that cannot be read.

    Attributes:
        path: of the document, as the processes name it.
        id: of the plan; empty where the document cannot be read, and `reason` says why.
    """

    path: str
    pids: tuple[int, ...]
    id: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FoundProcesses:
    """Which processes belong to which instance of a plan.

    Attributes:
        instances: ids of the processes by instance, ascending; instances without any are not there.
        roots: by instance, those whose parent is none of the instance's: one for each launch of it.
        strays: processes of the plan by an instance that they claim to be, and that it does not have.
        others: processes of other plans.
        named: instances whose processes were named by hand.
        measuring: autotune's own workers that measure now.
        hidden: processes that may not be looked at, and may be instances for all that can be told.
    """

    instances: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    roots: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    strays: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    others: tuple[OtherPlan, ...] = ()
    named: frozenset[int] = frozenset()
    measuring: tuple[int, ...] = ()
    hidden: tuple[HiddenProcess, ...] = ()


def find_processes(
    plan: str,
    instances: int,
    *,
    files: ProcFiles,
    named: Mapping[int, Sequence[int]] | None = None,
    own: int | None = None,
    made_s: float = 0.0,
) -> FoundProcesses:
    """Find the processes of a plan.

    Args:
        plan: its id.
        instances: how many it has.
        named: processes of instances that are named by hand, in the place of those that variables tell.
        own: id of the process that asks; by default of this one.
        made_s: Unix time at which the plan was made; 0 = not known.

    Raises:
        ServingError: a process that is named is not there, is autotune's own worker, or has started this
            command, too.
        PlanError: the plan has no such instance.
    """
    seen = {process.pid: process for process in _look(files)}
    by_hand = {index: tuple(pids) for index, pids in (named or {}).items()}
    asking = _with_ancestors(os.getpid() if own is None else own, seen)
    _check_named(by_hand, seen, instances, asking)
    claims = _Claims(plan, instances, files)
    for process in seen.values():
        if process.pid not in asking and not process.is_measuring:
            claims.hear(process)
    measuring = tuple(process.pid for process in seen.values() if process.is_measuring)
    strangers = asking.union(measuring, *(other.pids for other in claims.others))
    taken = {pid for pids in by_hand.values() for pid in pids}
    groups: dict[int, set[int]] = {index: set(pids) for index, pids in by_hand.items()}
    for pid, index in claims.members.items():
        if index not in by_hand and pid not in taken:
            groups.setdefault(index, set()).add(pid)
    members = {
        index: _with_children(groups, index, seen, strangers, claims.members)
        for index in sorted(groups)
        if groups[index]
    }
    unread = (pid for pid, process in seen.items() if process.environment is None and pid not in asking)
    return FoundProcesses(
        instances=members,
        roots={
            index: tuple(pid for pid in pids if seen[pid].parent not in pids)
            for index, pids in members.items()
        },
        strays=claims.strays,
        others=claims.others,
        named=frozenset(by_hand),
        measuring=measuring,
        hidden=tuple(hidden_processes(unread, files, made_s=made_s)),
    )


def _look(files: ProcFiles) -> Iterator[SeenProcess]:
    """Give every process but those of the kernel, and those that have ended."""
    for pid in files.pids():
        try:
            words, parent = files.words(pid), int(files.stat(pid)[1])
        except (OSError, ValueError, IndexError):
            continue  # it ended after it was listed, or this user may not even list it
        if not words:
            continue
        try:
            environment: Mapping[str, str] | None = files.environment(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            environment = None
        yield SeenProcess(pid, parent, words, environment)


def _check_named(
    named: Mapping[int, Sequence[int]],
    seen: Mapping[int, SeenProcess],
    instances: int,
    asking: Collection[int],
) -> None:
    for index, pids in named.items():
        if not 0 <= index < instances:
            raise PlanError(
                f"the plan has no instance {index}: it has {instances}, counted from 0",
                remedy="name a process of one of them: --pid INSTANCE=PID",
            )
        for pid in pids:
            if pid not in seen:
                raise ServingError(
                    f"there is no process {pid}, which is to be instance {index}",
                    remedy="give its id as `ps` shows it where this command runs",
                )
            if seen[pid].is_measuring:
                raise ServingError(
                    f"process {pid} is autotune's own worker, which measures", remedy="name your server's"
                )
            if pid in asking:
                raise ServingError(
                    f"process {pid} started this command, too: not all that it started is instance {index}",
                    remedy="name the server's own process, as `ps -ef --forest` shows it",
                )


class _Claims:
    """Sorts processes by the plan and instance that their environment claims."""

    def __init__(self, plan: str, instances: int, files: ProcFiles) -> None:
        self._plan, self._instances, self._files = plan, instances, files
        self._others: dict[str, OtherPlan] = {}
        self.members: dict[int, int] = {}
        self.strays: dict[str, tuple[int, ...]] = {}

    @property
    def others(self) -> tuple[OtherPlan, ...]:
        """What was launched of other plans."""
        return tuple(self._others.values())

    def hear(self, process: SeenProcess) -> None:
        """Sort one process."""
        environment = process.environment or {}
        path = environment.get(PLAN_VARIABLE, "")
        if not path:
            return
        name, reason = _identity(self._files.inside(process.pid, path))
        if name != self._plan:
            known = self._others.get(path, OtherPlan(path, (), name, reason))
            self._others[path] = replace(known, pids=(*known.pids, process.pid))
            return
        stated = environment.get(INSTANCE_VARIABLE, "")
        is_number = stated.isascii() and stated.isdigit() and len(stated) <= _MAX_DIGITS
        if is_number and int(stated) < self._instances:
            self.members[process.pid] = int(stated)
        else:
            self.strays[stated] = (*self.strays.get(stated, ()), process.pid)


def _identity(path: Path) -> tuple[str, str]:
    """Give the id of the plan in a file, or why it is not known."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        return "", error.strerror or str(error)
    except (ValueError, RecursionError):
        return "", "it is no JSON document"
    name = document.get("id") if isinstance(document, dict) else None
    return (name, "") if isinstance(name, str) else ("", "it is no plan")


def _with_children(
    groups: Mapping[int, Collection[int]],
    index: int,
    seen: Mapping[int, SeenProcess],
    strangers: Collection[int],
    claims: Mapping[int, int],
) -> tuple[int, ...]:
    """Give an instance's processes with all that they started, but as another instance or plan.

    Args:
        claims: instances by process, as their variables have it.
    """
    members = set(groups[index])
    elsewhere = {pid for other, pids in groups.items() if other != index for pid in pids}.union(strangers)
    found = members
    while found:
        found = {
            process.pid
            for process in seen.values()
            if process.parent in found
            and process.pid not in elsewhere
            and process.pid not in members
            and claims.get(process.pid, index) in (index, claims.get(process.parent))
        }
        members |= found
    return tuple(sorted(members))


def _with_ancestors(pid: int, seen: Mapping[int, SeenProcess]) -> set[int]:
    chain: set[int] = set()
    while pid in seen and pid not in chain:
        chain.add(pid)
        pid = seen[pid].parent
    return chain
