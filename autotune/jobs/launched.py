"""Looks at the running processes of a plan, whoever started them: are they as planned, and what do they give?

Nothing of them is stopped, started or changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from autotune.bench.here import machine_here
from autotune.events import Emit, RateBegan, RateEnded, unheard
from autotune.launched.bodies import USUAL_ANSWERS, cached_words, usual_bodies
from autotune.launched.compare import compare_plan
from autotune.launched.expected import expected_of
from autotune.launched.find import FoundProcesses, find_processes
from autotune.launched.findings import DECISIVE, Finding
from autotune.launched.proc import PROC, ProcFiles
from autotune.launched.read import read_process
from autotune.launched.sending import LoadOverHttp, send_open_loop
from autotune.launched.served import SETTLING, ServedLoad, judge_load
from autotune.launched.stated import stated_load
from autotune.machine.document import machine_differences, machine_document
from autotune.plan.document import Plan
from autotune.statistics.arrivals import poisson_times
from autotune.stop import Stop
from autotune.trial.server.load import site_beside
from autotune.units import format_latency

LaunchedVerdict = Literal["as planned", "differs", "stale", "undecided"]

USUAL_SECONDS: Final = 10.0
LEAST_SECONDS, MOST_SECONDS = 1.0, 600.0
LOWEST_RATE_PER_S, HIGHEST_RATE_PER_S = 0.1, 10_000.0
PATIENCE_S: Final = 10.0
"""So long the last answers are waited for."""

_OF_THIS_PROCESS: Final = ("allowed", "allowed_nodes", "quota_cpus", "memory_limit_bytes")
"""Parts of a machine's document that say what the process may use that reads it."""


@dataclass(frozen=True)
class AskedLoad:
    """The load that a running server is put under.

    Attributes:
        urls: of its instances, or of the balancer in front of them.
        bodies: of the requests; none = texts like those of the study.
        rate_per_s: None = a share of what the plan bears.
        seconds: that count; before them it settles.
    """

    urls: tuple[str, ...]
    bodies: tuple[bytes, ...] = ()
    rate_per_s: float | None = None
    seconds: float = USUAL_SECONDS


@dataclass(frozen=True)
class LaunchedVerification:
    """What looking at a plan's running processes has shown.

    Attributes:
        verdict: `differs`: something is not as planned; `undecided`: something decisive cannot be told;
            `stale`: the machine is another one than the plan's, and nothing was looked at.
        findings: ordered by instance and aspect.
        found: the processes.
        stale: what differs of the machine, in sentences.
        served: what they gave under a load; None where none was asked for, or nothing runs.
        stopped: it was told to stop before its end.
    """

    plan: Plan
    verdict: LaunchedVerdict
    findings: tuple[Finding, ...] = ()
    found: FoundProcesses = field(default_factory=FoundProcesses)
    stale: tuple[str, ...] = ()
    served: ServedLoad | None = None
    stopped: bool = False


def verify_launched(
    plan: Plan,
    *,
    named: Mapping[int, Sequence[int]] | None = None,
    load: AskedLoad | None = None,
    proc: Path = PROC,
    emit: Emit = unheard,
    stop: Stop | None = None,
) -> LaunchedVerification:
    """Find a plan's running processes, put them under a load if asked to, and compare them with the plan.

    They are read after the load, as engines start threads with the first requests.

    Args:
        named: ids of processes by instance, in the place of those that their variables tell.
        proc: the folder in which processes are looked for.

    Raises:
        ServingError: a process that is named is not there, or cannot be an instance.
        PlanError: the plan has no such instance, or its study is wrong.
        ExportError: what its study says of a server does not fit it.
        MachineError: this machine cannot be read.
    """
    told, files = stop or Stop(), ProcFiles(proc)
    if stale := machine_changes(plan):
        return LaunchedVerification(plan, "stale", stale=stale)
    expected = expected_of(plan)
    own = os.getpid() if proc == PROC else 0

    def find(asked: Mapping[int, Sequence[int]]) -> FoundProcesses:
        return find_processes(
            plan.id, len(expected), files=files, named=asked, own=own, made_s=plan.created_s
        )

    found, served = find(named or {}), None
    if load is not None and found.instances:
        served = put_under_load(plan, load, emit, told)
        # Whichever ended meanwhile is missing, and no mistake of who named it.
        found = find({index: list(filter(files.is_there, pids)) for index, pids in (named or {}).items()})
    distributions = expected[0].versions
    read = {
        pid: process
        for pid in sorted({pid for pids in found.instances.values() for pid in pids})
        if (process := read_process(pid, files, distributions)) is not None
    }
    findings = compare_plan(expected, found, read, by_root=os.geteuid() == 0)
    return LaunchedVerification(
        plan=plan,
        verdict=verdict_of(findings),
        findings=findings,
        found=found,
        served=served,
        stopped=served is not None and served.stopped,
    )


def machine_changes(plan: Plan) -> tuple[str, ...]:
    """Say in what this machine is another one than the plan's; what this process may use is no matter."""
    here = machine_document(machine_here())
    of_plan = {name: plan.machine.get(name) for name in _OF_THIS_PROCESS}
    return tuple(machine_differences(plan.machine, {**here, **of_plan}))


def verdict_of(findings: Sequence[Finding]) -> LaunchedVerdict:
    """Say what all findings come to."""
    if any(finding.likeness == "differs" for finding in findings):
        return "differs"
    untold = [finding for finding in findings if finding.likeness == "cannot be told"]
    return "undecided" if any(finding.aspect in DECISIVE for finding in untold) else "as planned"


def put_under_load(plan: Plan, load: AskedLoad, emit: Emit, stop: Stop) -> ServedLoad:
    """Send requests to a plan's running server at random times, and judge what came of them.

    Raises:
        PlanError: the study in the plan is wrong.
    """
    stated = stated_load(plan, load.rate_per_s)
    site = site_beside([instance.cpus for instance in plan.instances])
    emit(RateBegan(stated.rate_per_s, 1, 1))
    times_s = poisson_times(os.getpid(), stated.rate_per_s, (SETTLING * load.seconds, load.seconds))
    over_http = LoadOverHttp(
        urls=load.urls,
        bodies=load.bodies or usual_bodies(plan, len(times_s)),
        times_s=times_s,
        patience_s=PATIENCE_S,
        accept="*/*" if load.bodies else USUAL_ANSWERS,
    )
    sending = send_open_loop(over_http, stop, site.cpus)
    served = judge_load(load.urls, stated, sending, load.seconds, shares_cpus=not site.cpus)
    if not load.bodies and (cached := cached_words(plan)):
        served = replace(served, reasons=(*served.reasons, cached))
    emit(RateEnded(stated.rate_per_s, 1, 1, served_words(served)))
    return served


def served_words(served: ServedLoad) -> str:
    """Say what a load gave: `keeps up: 600 requests in 10 s, all answered, p50 8.10 ms`."""
    median = served.latency(50.0)
    latency = "" if median is None or median.value_s is None else f", p50 {format_latency(median.value_s)}"
    return f"{served.verdict}: {served.in_words}{latency}"
