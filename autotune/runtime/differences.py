"""What differs between a plan and the process, machine, packages and artifact that are to serve it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, cast, get_args

from autotune.backends.protocol import Backend, LoadsWith, Session
from autotune.errors import DifferenceError, ServingError
from autotune.machine.cpuinfo import read_cpuinfo
from autotune.machine.cpus import format_cpu_list
from autotune.machine.sysfs import Tree
from autotune.model.artifacts.changes import changed_files
from autotune.placement.variables import AFFINITY, measured_variables
from autotune.runtime.planned import PlannedInstance
from autotune.spec.launched import DIFFERENCES_VARIABLE
from autotune.worker.knobs import knob_differences, process_knobs
from autotune.worker.observe import memory_policy, thread_masks

MANIFEST_FILE = "manifest.json"
"""Of an artifact; `autotune.model.artifacts.manifest` writes it, and reads it whole."""
FILE_FIELDS = (("name", str), ("size_bytes", int), ("mtime_ns", int))
"""Of each file in a manifest, with their kinds."""
BESIDE_ENGINES = ("numpy", "tokenizers")
"""Distributions that every process which serves texts needs."""

Tolerance = Literal["refuse", "warn"]

LAUNCH = "start the process by a launch of the plan: autotune export REF -o launch/"
ANEW = "run: autotune tune, on this machine"
PREPARE = "run: autotune tune, which prepares it again"
AGAIN = "unpack the bundle again, or write it anew: autotune export REF --bundle DIR"
BRING = f"{PREPARE}; or bring it from where it was tuned: autotune export REF --bundle DIR"
PERMIT = (
    "permit memory policies where the process runs, such as docker run --cap-add SYS_NICE, and start it by a "
    "launch of the plan"
)


class PlanDifferenceWarning(UserWarning):
    """The process serves, and is not as the plan says: its figures may not hold."""


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        said: in a sentence.
        remedy: what helps.
        decides_answers: whether the artifact cannot be served at all, or not as it was compared.
        may_stay: whether a launched process goes on with it, too: the host has it so, and no launch helps.
    """

    said: str
    remedy: str
    decides_answers: bool = False
    may_stay: bool = False


def settle(
    planned: PlannedInstance, found: Iterable[Difference], tolerance: Tolerance | None
) -> tuple[Difference, ...]:
    """Refuse what differs, or warn of it.

    Args:
        tolerance: as of `autotune.runtime.load`.

    Returns:
        What was warned of.

    Raises:
        DifferenceError: there is something that is not tolerated.
        ServingError: the caller, or the environment, asks for something that is no tolerance.
    """
    chosen = _chosen(tolerance)
    differences = tuple(found)
    refused = [difference for difference in differences if _is_refused(difference, planned, chosen)]
    if refused:
        remedies = dict.fromkeys(difference.remedy for difference in refused)
        raise DifferenceError(
            f"{planned.plan}, instance {planned.index}: {'; '.join(each.said for each in refused)}",
            remedy="; or ".join(remedies),
        )
    for difference in differences:
        warnings.warn(f"{difference.said} ({difference.remedy})", PlanDifferenceWarning, stacklevel=4)
    return differences


def _is_refused(difference: Difference, planned: PlannedInstance, tolerance: Tolerance | None) -> bool:
    if difference.decides_answers or tolerance is not None:
        return difference.decides_answers or tolerance == "refuse"
    return planned.is_launched and not difference.may_stay


def _chosen(tolerance: str | None) -> Tolerance | None:
    """What the caller says, or whoever starts the process; None where neither does."""
    chosen = tolerance or os.environ.get(DIFFERENCES_VARIABLE)
    if not chosen:
        return None
    if chosen not in get_args(Tolerance):
        name = "differences" if tolerance else DIFFERENCES_VARIABLE
        raise ServingError(
            f"{name} is {chosen!r:.80}, which is no way to take differences",
            remedy=f"set it to {' or '.join(get_args(Tolerance))}",
        )
    return cast(Tolerance, chosen)


def process_differences(planned: PlannedInstance) -> Iterator[Difference]:
    """What nobody can change any more once a process runs: its machine, cpus, memory nodes and variables."""
    yield from _machine_differences(planned)
    allowed = os.sched_getaffinity(0)
    if planned.cpus and allowed != set(planned.cpus):
        got, asked = format_cpu_list(allowed), format_cpu_list(planned.cpus)
        yield Difference(f"this process runs on cpus {got}, not {asked}", LAUNCH)
    yield from _memory_differences(planned)
    for name, value in measured_variables(planned.environment).items():
        found = os.environ.get(name)
        if found != value:
            got = "not set" if found is None else repr(found)
            yield Difference(f"{name} is {got}, not {value!r}", LAUNCH)
    for name in AFFINITY:
        if name in os.environ and name not in planned.environment:
            yield Difference(
                f"{name} is set, which moves threads or has them wait otherwise", f"unset {name}"
            )


def _machine_differences(planned: PlannedInstance) -> Iterator[Difference]:
    here = read_cpuinfo(Tree(Path("/"))).model_name
    if planned.cpu_model and here and here != planned.cpu_model:
        said = f"this machine has another cpu, {here}: the plan was measured on {planned.cpu_model}"
        yield Difference(said, ANEW, may_stay=True)


def _memory_differences(planned: PlannedInstance) -> Iterator[Difference]:
    """Memory on other nodes than the plan's; none where the kernel refused to bind it as it was measured."""
    policy, nodes = memory_policy()
    asked = format_cpu_list(planned.memory_nodes)
    if not planned.memory_nodes or (policy == "bind" and set(nodes) == set(planned.memory_nodes)):
        return
    if policy == "bind":
        yield Difference(f"its memory is bound to nodes {format_cpu_list(nodes)}, not {asked}", LAUNCH)
    elif not planned.was_unbound:
        said = f"its memory is not bound to nodes {asked}: its policy is {policy}"
        if policy == "unknown":
            said = f"whether its memory is bound to nodes {asked} cannot be told"
        yield Difference(said, PERMIT, may_stay=True)


def package_differences(planned: PlannedInstance, backend: Backend) -> Iterator[Difference]:
    """Packages that compute, in other versions than those that were measured."""
    computing = backend.loads_with if isinstance(backend, LoadsWith) else backend.packages
    reading = BESIDE_ENGINES if planned.requests is not None else ()
    for name in dict.fromkeys((*computing, *reading)):
        stated = planned.versions.get(name)
        if stated is None:
            continue
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Difference(
                f"{name} is not installed, and the plan was measured with {stated}",
                f"pip install {name}=={stated}",
                decides_answers=True,
            )
        else:
            if found != stated:
                yield Difference(
                    f"{name} is {found}, and the plan was measured with {stated}",
                    f"pip install {name}=={stated}",
                )


def artifact_differences(planned: PlannedInstance, *, digests: bool = False) -> Iterator[Difference]:
    """An artifact that is gone or was changed, or that needs what this cpu does not have.

    Args:
        digests: as of `autotune.model.artifacts.changes.changed_files`.
    """
    manifest = read_manifest_of(planned)
    yield from _changes(planned, planned.artifact, manifest, digests=digests)
    if planned.requests is not None:
        requests = _read_manifest(planned, planned.requests)
        yield from _changes(planned, planned.requests, requests, digests=digests)
    stated = (
        ("engine", manifest["backend"], planned.backend),
        ("precision", manifest["precision"], planned.precision),
        ("model", manifest["model_digest"], planned.model_digest or manifest["model_digest"]),
    )
    for name, got, asked in stated:
        if got != asked:
            yield Difference(
                f"the artifact {planned.artifact} is of the {name} {got}, not {asked}",
                ANEW,
                decides_answers=True,
            )
    lacking = frozenset(manifest["isa"]) - read_cpuinfo(Tree(Path("/"))).isa
    if lacking:
        yield Difference(
            f"this cpu lacks {', '.join(sorted(lacking))}, which the artifact was made for",
            f"serve it on a machine of the same kind, or {ANEW}",
            decides_answers=True,
        )


def _changes(
    planned: PlannedInstance, folder: Path, manifest: Mapping[str, Any], *, digests: bool
) -> Iterator[Difference]:
    what, remedy = _kind_of(planned, folder), AGAIN if planned.is_bundled else PREPARE
    found = list(changed_files(folder, manifest["files"], digests=digests))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        said = f"the {what} {folder} was changed: {', '.join(found[:3])}{more}"
        yield Difference(said, remedy, decides_answers=True)


def read_manifest_of(planned: PlannedInstance) -> dict[str, Any]:
    """Read the manifest of the artifact.

    Raises:
        DifferenceError: the artifact is gone, or was never finished.
    """
    return _read_manifest(planned, planned.artifact)


def _read_manifest(planned: PlannedInstance, folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
        for name, kind in (("backend", str), ("precision", str), ("model_digest", str), ("isa", list)):
            if not isinstance(manifest[name], kind):
                raise ValueError(f"its {name} is {manifest[name]!r:.80}")
        for file in manifest["files"]:
            if not all(isinstance(file.get(name), kind) for name, kind in FILE_FIELDS):
                raise ValueError(f"its files have {file!r:.80}")
        return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        how = f"is none: {error}" if folder.is_dir() else "is not here"
        raise DifferenceError(
            f"the {_kind_of(planned, folder)} {folder} of {planned.plan} {how}",
            remedy=AGAIN if planned.is_bundled else BRING,
        ) from error


def _kind_of(planned: PlannedInstance, folder: Path) -> str:
    return "artifact" if folder == planned.artifact else "folder of requests"


def session_differences(planned: PlannedInstance, backend: Backend, session: Session) -> Iterator[Difference]:
    """What the loaded engine says of itself, where that is not what the plan states."""
    report = session.report()
    if planned.threads and report.threads != planned.threads:
        yield Difference(f"the engine uses {report.threads} threads, not {planned.threads}", LAUNCH)
    yield from _thread_differences(planned)
    if report.precision not in (planned.precision, "unknown"):
        yield Difference(
            f"the engine computes at {report.precision}, not {planned.precision}", ANEW, decides_answers=True
        )
    for said in knob_differences(planned.knobs, {**process_knobs(backend), **report.knobs}):
        yield Difference(said, LAUNCH)


def _thread_differences(planned: PlannedInstance) -> Iterator[Difference]:
    """Threads that the engine has moved from the plan's cpus."""
    if not planned.cpus or os.sched_getaffinity(0) != set(planned.cpus):
        return  # it is not pinned as planned anyway, which `process_differences` says
    outside = [thread for thread in thread_masks() if not set(thread.cpus) <= set(planned.cpus)]
    if outside:
        where, asked = format_cpu_list(outside[0].cpus), format_cpu_list(planned.cpus)
        yield Difference(
            f"{len(outside)} of its threads, such as {outside[0].name!r}, run on cpus {where}, not {asked}",
            LAUNCH,
        )
