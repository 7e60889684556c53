"""The one writer of exported files."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Set
from pathlib import Path, PurePosixPath

from autotune.errors import ExportError
from autotune.files import write_remedy

RECORD = ".autotune-export.json"
"""Beside the files: what was written here, path to SHA-256. A file that is still so may be written again."""


def write_export(
    files: Mapping[str, str], folder: Path, *, executable: Set[str] = frozenset(), force: bool = False
) -> tuple[Path, ...]:
    """Write rendered files below a folder, each atomically, after checking that all can be written.

    Args:
        files: text by relative path.
        executable: the paths of those that are to be run.
        force: replace files that were not written by an export, or were edited since.

    Raises:
        ExportError: the folder or a path is unusable, or a file of somebody else's is in the way.
    """
    targets = {path: _target(folder, path) for path in files}
    check_folder(folder)
    written = _read_record(folder)
    for path, target in targets.items():
        _check_target(target, written.get(path), force=force)
    try:
        for path, target in targets.items():
            replace_file(target, files[path].encode(), mode=0o755 if path in executable else 0o644)
        record = written | {path: _digest(text.encode()) for path, text in files.items()}
        text = json.dumps(record, indent=2, sort_keys=True) + "\n"
        replace_file(folder / RECORD, text.encode(), mode=0o644)
    except OSError as error:
        raise ExportError(
            f"{str(error.filename or folder)!r} cannot be written: {error.strerror}",
            remedy=write_remedy(error, "give another folder with -o"),
        ) from error
    return tuple(targets.values())


def _target(folder: Path, path: str) -> Path:
    """Refuse a path that is absolute or leads out of the folder, by itself or through a link."""
    parts = PurePosixPath(path).parts
    target = folder.joinpath(*parts)
    outside = not parts or ".." in parts or path.startswith("/") or "\0" in path
    if outside or not target.parent.resolve().is_relative_to(folder.resolve()):
        raise ExportError(f"the exporter's path {path!r} leads out of the folder {str(folder)!r}")
    return target


def check_folder(folder: Path) -> None:
    """Make sure that a folder is one, or can be made, and can be written.

    Raises:
        ExportError: it is not, or cannot.
    """
    whole = folder.absolute()
    try:
        existing = next(parent for parent in (whole, *whole.parents) if parent.exists())
    except OSError as error:
        raise ExportError(
            f"the folder {str(folder)!r} cannot be used: {error.strerror}", remedy="give another one with -o"
        ) from error
    if not existing.is_dir():
        raise ExportError(f"{str(existing)!r} is a file, not a folder", remedy="give a folder: -o DIR")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ExportError(f"the folder {str(existing)!r} is read-only", remedy="give another one with -o")


def _check_target(target: Path, written: str | None, *, force: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.is_dir():
        raise ExportError(f"{str(target)!r} is a folder", remedy="move it away, or give another one with -o")
    if not force and (target.is_symlink() or written is None or written != _file_digest(target)):
        was = "is none that `autotune export` wrote" if written is None else "was changed since its export"
        raise ExportError(
            f"the file {str(target)!r} {was}", remedy="give --force to replace it, or another folder with -o"
        )


def replace_file(target: Path, content: bytes, *, mode: int) -> None:
    """Write a file and its folders in one step; a reader sees the old one or the whole new one.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".autotune-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode & ~_umask())
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def _read_record(folder: Path) -> dict[str, str]:
    """What was written here; nothing, if the record is missing or damaged, so that nothing is overwritten."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {path: digest for path, digest in record.items() if isinstance(digest, str)}


def _file_digest(path: Path) -> str:
    try:
        return _digest(path.read_bytes())
    except OSError as error:
        raise ExportError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
