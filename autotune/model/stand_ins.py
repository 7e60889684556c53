"""Files that only stand for what they are named after: pointers of Git LFS, pages of a web site, nothing."""

from __future__ import annotations

import re
from pathlib import Path

from autotune.errors import ModelError

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""How a pointer begins. Source: the specification of Git LFS."""

WEB_PAGE = (b"<!doctype html", b"<html")
"""How one begins, in lower case: what a browser saves where a site asks for a login."""

LINK = re.compile(rb"(\.\./|\.git/annex/)[^\s\0]+")
"""The text of a link out of its folder, which git and archives leave where links cannot be made."""

AGAIN = "copy or download it again"


def refuse_stand_in(file: Path) -> None:
    """Refuse a file that is not what its name says, but what a clone or a download leaves in its place.

    Raises:
        ModelError: it is a pointer of Git LFS, the text of a link, a page of a web site, or empty.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        begin = stream.read(512)
    if begin.startswith(LFS_POINTER):
        raise ModelError(
            f"{file} is a pointer of Git LFS, not the file itself",
            remedy=f"fetch the file: git lfs install, then git lfs pull in {file.parent}",
        )
    if LINK.fullmatch(begin.strip()):
        raise ModelError(
            f"{file} is the text of a link ({begin.decode(errors='replace')}), not the file that it leads to",
            remedy="copy the files themselves (cp -rL, rsync -L, tar -h), or download them again",
        )
    if begin.lstrip().lower().startswith(WEB_PAGE):
        raise ModelError(f"{file} is a page of a web site, not the file itself", remedy=AGAIN)
    if not begin:
        raise ModelError(f"{file} is empty, as after half a download", remedy=AGAIN)
