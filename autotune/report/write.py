"""Writes a report's files, each in one step, and never over somebody else's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from autotune.errors import ExportError
from autotune.exporters.write import replace_file
from autotune.files import write_remedy
from autotune.report.figures.picture import MARK

_HEAD_BYTES = 4_096
"""In which every file of a report says where it comes from."""


def check_targets(targets: Iterable[Path], *, force: bool = False) -> None:
    """Make sure that all can be written, before anything is drawn.

    Args:
        force: replace files that no report wrote.

    Raises:
        ExportError: a folder is missing or cannot be written, or something else is in the way.
    """
    for target in targets:
        _check_folder(target.parent)
        _check_target(target, force=force)


def check_folder_to_make(folder: Path) -> None:
    """Make sure that the folder is there or can be made.

    Raises:
        ExportError: something else is in the way, or the folder above cannot be written.
    """
    _check_folder(folder if _exists(folder) else folder.absolute().parent)


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write all, making their folders; a reader sees an old file or the whole new one.

    Raises:
        ExportError: one cannot be written.
    """
    for target, content in files.items():
        try:
            replace_file(target, content, mode=0o644)
        except OSError as error:
            raise ExportError(
                f"{str(target)!r} cannot be written: {error.strerror}",
                remedy=write_remedy(error, _ELSEWHERE),
            ) from error


_ELSEWHERE = "give another path (-o for the page, --figures for the pictures)"


def _exists(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError as error:
        raise ExportError(f"{str(folder)!r} cannot be used: {error.strerror}", remedy=_ELSEWHERE) from error


def _check_folder(folder: Path) -> None:
    if not _exists(folder):
        raise ExportError(f"there is no folder {str(folder)!r}", remedy=f"make it, or {_ELSEWHERE}")
    if not folder.is_dir():
        raise ExportError(f"{str(folder)!r} is no folder", remedy=_ELSEWHERE)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ExportError(f"the folder {str(folder)!r} cannot be written", remedy=_ELSEWHERE)


def _check_target(target: Path, *, force: bool) -> None:
    """Refuse what is no file, which --force does not make one, and a file of other origin."""
    try:
        found = target.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ExportError(f"{str(target)!r} cannot be used: {error.strerror}", remedy=_ELSEWHERE) from error
    if not stat.S_ISREG(found.st_mode) and not (force and stat.S_ISLNK(found.st_mode)):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise ExportError(f"{str(target)!r} is {what}", remedy=_ELSEWHERE)
    if not force and not _is_ours(target):
        raise ExportError(
            f"the file {str(target)!r} is none that `autotune report` wrote",
            remedy=f"give --force to replace it, or {_ELSEWHERE}",
        )


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(_HEAD_BYTES)
    except OSError as error:
        raise ExportError(f"{str(path)!r} cannot be read: {error.strerror}", remedy=_ELSEWHERE) from error
