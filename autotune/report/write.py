"""Writes a report's files, each in one step, and never over somebody else's."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from autotune.errors import ExportError
from autotune.exporters.write import replace_file
from autotune.files import write_remedy
from autotune.report.figures.picture import MARK

_HEAD_BYTES = 4_096
"""In which every file of a report says where it comes from."""


ELSEWHERE: Final = "give another path (-o for the page, --figures for the pictures)"
"""What to do where a report's file cannot be written; other commands have words of their own."""


def check_targets(targets: Sequence[Path], *, force: bool = False, elsewhere: str = ELSEWHERE) -> None:
    """Make sure that all can be written, before anything is drawn.

    Args:
        force: replace files that autotune has not drawn.
        elsewhere: what to do where one cannot be written, as an imperative clause.

    Raises:
        ExportError: a folder is missing or cannot be written, two are the same file, or something else is in
            the way.
    """
    for target in targets:
        _check_folder(target.parent, elsewhere)
        _check_target(target, elsewhere, force=force)
    files = [target.absolute().parent.resolve() / target.name for target in targets]
    for index, file in enumerate(files):
        if file in files[:index]:
            raise ExportError(
                f"{str(targets[index])!r} is named for two things, of which one would be lost",
                remedy="give each a path of its own",
            )


def check_folder_to_make(folder: Path) -> None:
    """Make sure that the folder is there or can be made.

    Raises:
        ExportError: something else is in the way, or the folder above cannot be written.
    """
    _check_folder(folder if _exists(folder, ELSEWHERE) else folder.absolute().parent, ELSEWHERE)


def write_files(files: Mapping[Path, bytes], *, elsewhere: str = ELSEWHERE) -> None:
    """Write all, making their folders; a reader sees an old file or the whole new one.

    Args:
        elsewhere: what to do where one cannot be written, as an imperative clause.

    Raises:
        ExportError: one cannot be written.
    """
    for target, content in files.items():
        try:
            replace_file(target, content, mode=0o644)
        except OSError as error:
            raise ExportError(
                f"{str(target)!r} cannot be written: {error.strerror}",
                remedy=write_remedy(error, elsewhere),
            ) from error


def _exists(folder: Path, elsewhere: str) -> bool:
    try:
        return folder.exists()
    except OSError as error:
        raise ExportError(f"{str(folder)!r} cannot be used: {error.strerror}", remedy=elsewhere) from error


def _check_folder(folder: Path, elsewhere: str) -> None:
    if not _exists(folder, elsewhere):
        raise ExportError(f"there is no folder {str(folder)!r}", remedy=f"make it, or {elsewhere}")
    if not folder.is_dir():
        raise ExportError(f"{str(folder)!r} is no folder", remedy=elsewhere)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ExportError(f"the folder {str(folder)!r} cannot be written", remedy=elsewhere)


def _check_target(target: Path, elsewhere: str, *, force: bool) -> None:
    """Refuse what is no file, which --force does not make one, and a file of other origin."""
    try:
        found = target.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ExportError(f"{str(target)!r} cannot be used: {error.strerror}", remedy=elsewhere) from error
    if not stat.S_ISREG(found.st_mode) and not (force and stat.S_ISLNK(found.st_mode)):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise ExportError(f"{str(target)!r} is {what}", remedy=elsewhere)
    if not force and not _is_ours(target, elsewhere):
        raise ExportError(
            f"the file {str(target)!r} is none that autotune has drawn",
            remedy=f"give --force to replace it, or {elsewhere}",
        )


def _is_ours(path: Path, elsewhere: str) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(_HEAD_BYTES)
    except OSError as error:
        raise ExportError(f"{str(path)!r} cannot be read: {error.strerror}", remedy=elsewhere) from error
