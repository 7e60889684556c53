"""What differs between a plan and the process, machine, packages and artifact that are to serve it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from autotune.backends.protocol import Backend, LoadsWith, Session
from autotune.errors import DifferenceError
from autotune.machine.cpuinfo import read_cpuinfo
from autotune.machine.cpus import format_cpu_list
from autotune.machine.sysfs import Tree
from autotune.placement.variables import AFFINITY, measured_variables
from autotune.runtime.planned import PlannedInstance
from autotune.worker.knobs import knob_differences, process_knobs
from autotune.worker.observe import memory_policy

MANIFEST_FILE = "manifest.json"
"""Of an artifact; `autotune.model.artifacts.manifest` writes it, and reads it whole."""
BESIDE_ENGINES = ("numpy", "tokenizers")
"""Distributions that every process which serves texts needs."""

Tolerance = Literal["refuse", "warn"]

LAUNCH = "start the process by a launch of the plan: autotune export REF -o launch/"
ANEW = "run: autotune tune, on this machine"


class PlanDifferenceWarning(UserWarning):
    """The process serves, and is not as the plan says: its figures may not hold."""


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        said: in a sentence.
        remedy: what helps.
        decides_answers: whether the artifact cannot be served at all, or not as it was compared.
    """

    said: str
    remedy: str
    decides_answers: bool = False


def settle(planned: PlannedInstance, found: Iterable[Difference], tolerance: Tolerance | None) -> None:
    """Refuse what differs, or warn of it.

    Args:
        tolerance: as of `autotune.runtime.load`.

    Raises:
        DifferenceError: there is something that is not tolerated.
    """
    refuses = tolerance == "refuse" or (tolerance is None and planned.is_launched)
    differences = tuple(found)
    refused = [difference for difference in differences if refuses or difference.decides_answers]
    if refused:
        remedies = dict.fromkeys(difference.remedy for difference in refused)
        raise DifferenceError(
            f"{planned.plan}, instance {planned.index}: {'; '.join(each.said for each in refused)}",
            remedy="; or ".join(remedies),
        )
    for difference in differences:
        warnings.warn(f"{difference.said} ({difference.remedy})", PlanDifferenceWarning, stacklevel=4)


def process_differences(planned: PlannedInstance) -> Iterator[Difference]:
    """What nobody can change any more once a process runs: its cpus, memory nodes and variables."""
    allowed = os.sched_getaffinity(0)
    if planned.cpus and allowed != set(planned.cpus):
        got, asked = format_cpu_list(allowed), format_cpu_list(planned.cpus)
        yield Difference(f"this process runs on cpus {got}, not {asked}", LAUNCH)
    policy, nodes = memory_policy()
    if planned.memory_nodes and policy == "bind" and set(nodes) != set(planned.memory_nodes):
        got, asked = format_cpu_list(nodes), format_cpu_list(planned.memory_nodes)
        yield Difference(f"its memory is bound to nodes {got}, not {asked}", LAUNCH)
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


def artifact_differences(planned: PlannedInstance) -> Iterator[Difference]:
    """An artifact that is gone or was changed, or that needs what this cpu does not have."""
    manifest = read_manifest_of(planned)
    found = [name for name, size in _sizes(manifest) if _size(planned.artifact / name) != size]
    if found:
        yield Difference(
            f"the artifact {planned.artifact} was changed: {', '.join(found[:3])}", ANEW, decides_answers=True
        )
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


def read_manifest_of(planned: PlannedInstance) -> dict[str, Any]:
    """Read the manifest of the artifact.

    Raises:
        DifferenceError: the artifact is gone, or was never finished.
    """
    file = planned.artifact / MANIFEST_FILE
    try:
        manifest = json.loads(file.read_bytes())
        for name, kind in (("backend", str), ("precision", str), ("model_digest", str), ("isa", list)):
            if not isinstance(manifest[name], kind):
                raise ValueError(f"its {name} is {manifest[name]!r:.80}")
        return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DifferenceError(
            f"the artifact {planned.artifact} of {planned.plan} is gone, or is none: {error}", remedy=ANEW
        ) from error


def session_differences(planned: PlannedInstance, backend: Backend, session: Session) -> Iterator[Difference]:
    """What the loaded engine says of itself, where that is not what the plan states."""
    report = session.report()
    if planned.threads and report.threads != planned.threads:
        yield Difference(f"the engine uses {report.threads} threads, not {planned.threads}", LAUNCH)
    if report.precision not in (planned.precision, "unknown"):
        yield Difference(
            f"the engine computes at {report.precision}, not {planned.precision}", ANEW, decides_answers=True
        )
    for said in knob_differences(planned.knobs, {**process_knobs(backend), **report.knobs}):
        yield Difference(said, LAUNCH)


def _sizes(manifest: dict[str, Any]) -> Iterator[tuple[str, int]]:
    return ((str(file["name"]), int(file["size_bytes"])) for file in manifest.get("files", ()))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1
