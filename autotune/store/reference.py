"""Finds the plan that a text means: a plan's file, or a reference into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from autotune.errors import PlanError, StoreError
from autotune.plan.document import Plan, parse_plan
from autotune.plan.launch import PLAN_FILE
from autotune.store.store import read_store

FILE_SUFFIX = ".json"
_READABLE: Final = (
    "a file that `autotune export --to json` wrote, an export's or a bundle's folder, or a plan of the store"
)


def find_plan(ref: str, store: str) -> Plan:
    """Read a plan: from a file if `ref` ends with .json or has a slash, else from the store.

    A folder with a slash in its name is that of an export, or a bundle: its `plan.json` is read.

    Raises:
        PlanError: the file cannot be read, or is no plan.
        StoreError: the store cannot be read, or holds no such plan.
    """
    if is_file(ref):
        path = Path(ref)
        if ref.endswith("/") and not path.is_dir():
            raise PlanError(f"there is no folder {ref!r}", remedy=f"give {_READABLE}")
        return read_plan_file(path / PLAN_FILE if path.is_dir() else path)
    try:
        with read_store(store) as opened:
            return opened.plan(ref)
    except StoreError as error:
        if not (Path(ref) / PLAN_FILE).is_file():
            raise
        raise StoreError(
            error.problem,
            remedy=f"for the folder of that name write a slash, {ref + '/'!r}; for a plan: {error.remedy}",
        ) from error


def is_file(ref: str) -> bool:
    """Whether a reference means a file, and not the store."""
    return "/" in ref or ref.endswith(FILE_SUFFIX)


def read_plan_file(path: Path) -> Plan:
    """Read a plan's JSON document.

    Raises:
        PlanError: the file cannot be read, or is no plan; names the file.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise PlanError(
            f"the plan file {str(path)!r} cannot be read: {error.strerror}",
            remedy=f"give {_READABLE}",
        ) from error
    try:
        return parse_plan(text)
    except PlanError as error:
        raise PlanError(f"the plan file {str(path)!r}: {error.problem}", remedy=error.remedy) from error
