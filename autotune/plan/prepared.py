"""What a plan serves, as it lies in this machine's cache: whether it is still what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from autotune.errors import ExportError
from autotune.model.artifacts.changes import changed_files
from autotune.model.artifacts.manifest import MANIFEST_FILE, Manifest
from autotune.plan.document import Plan

KINDS = {"artifact": "prepared model", "requests": "prepared requests"}
"""Of folders that a plan's instances read, in words."""


def refuse_changed(plan: Plan, *, digests: bool = False) -> None:
    """Refuse to hand on a plan whose prepared model or requests were changed since.

    Folders that are not here are left to the machine that serves: `folders_gone` names them.

    Args:
        digests: read every file that has a digest, whatever its time.

    Raises:
        ExportError: they were changed.
    """
    for kind, folder in _folders(plan):
        found = _changed(folder, digests=digests) if folder.is_dir() else []
        if found:
            raise ExportError(
                f"the {KINDS[kind]} of the plan {plan.id} in {folder} was changed: {', '.join(found[:3])}",
                remedy="run: autotune tune, which prepares it again",
            )


def folders_gone(plan: Plan) -> Iterator[str]:
    """Name the folders that a plan's instances read and this machine lacks, each as a sentence begins."""
    for kind, folder in _folders(plan):
        if not folder.is_dir():
            yield f"the {KINDS[kind]} of the plan {plan.id} in {folder}"


def _folders(plan: Plan) -> Iterator[tuple[str, Path]]:
    """The folders that the instances read, by kind; equal ones once."""
    workers = [instance.worker for instance in plan.instances]
    for kind, paths in (
        ("artifact", [worker.artifact for worker in workers]),
        ("requests", [worker.requests for worker in workers]),
    ):
        folders = dict.fromkeys(Path(path) for path in paths if path)
        yield from ((kind, folder) for folder in folders)


def _changed(folder: Path, *, digests: bool) -> list[str]:
    """Name the changed files; of a manifest without digests another time is a change, as for the cache."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except (OSError, ValidationError):
        return [MANIFEST_FILE]
    found = set(changed_files(folder, [file.model_dump() for file in manifest.files], digests=digests))
    return [
        file.name
        for file in manifest.files
        if file.name in found
        or (not file.sha256 and (folder / file.name).stat().st_mtime_ns != file.mtime_ns)
    ]
