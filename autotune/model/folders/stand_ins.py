"""Files that only stand for what they are named after: pointers of Git LFS, pages of a web site, nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

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


def read_json(file: Path, remedy: str) -> Any:
    """What a JSON file of a model's folder says.

    Args:
        remedy: beside getting it again, where it is not JSON.

    Raises:
        ModelError: it is not JSON, or not the file itself.
        OSError: it cannot be read.
    """
    refuse_stand_in(file)
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not JSON: {error}", remedy=f"{AGAIN}, or {remedy}") from error
