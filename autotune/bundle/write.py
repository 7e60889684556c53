"""Writes bundles: a folder, or a tar of one, that is whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from autotune.bundle.contents import BundleContents, contents_of, plan_text
from autotune.bundle.requirements import pinned_requirements
from autotune.errors import ExportError
from autotune.files import is_out_of_space, write_remedy
from autotune.plan.document import Plan
from autotune.runtime.bundled import RECORD_FILE, record_of
from autotune.runtime.planned import PLAN_FILE

TAR: Final = ".tar"
START: Final = "start.sh"
REQUIREMENTS: Final = "requirements.txt"
README: Final = "README.md"

_START = """#!/usr/bin/env bash
# Becomes COMMAND as one instance of the plan: on its cpus, in the environment that was measured.
#
#     start.sh INSTANCE COMMAND...
#
# PYTHON names the interpreter that has autotune and requirements.txt; by default python3.
set -euo pipefail

usage() {
    printf 'usage: %s INSTANCE COMMAND...\\n\\n' "${0##*/}"
    printf 'Becomes COMMAND as the instance of this number, from 0. '
    printf 'PYTHON names the interpreter that has autotune.\\n'
}
case ${1-} in
    -h | --help)
        usage
        exit 0
        ;;
    '' | *[!0-9]*)
        usage >&2
        exit 2
        ;;
esac
[ $# -ge 2 ] || {
    usage >&2
    exit 2
}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
"$python" -P -c 'import autotune.runtime' 2>/dev/null || {
    printf '%s: %s has no autotune, or is older than Python 3.11\\n  %s\\n' "${0##*/}" "$python" \
        "name the one that has it: PYTHON=venv/bin/python $0 ..." >&2
    exit 16
}
exec "$python" -P -m autotune.runtime.start "$here" "$@"
"""

_REQUIREMENTS = """# What {plan} is served with, at the versions that were measured.
# autotune {autotune} itself comes from a clone of its repository, without the packages that only tune:
#
#     pip install --no-deps path/to/autotune
#
# A version with a + in it comes from the index that it was installed from: pip's --extra-index-url names it.
"""

_README = """# {plan}

{instances} of `{source}`, measured on {machine}.

Serve it on a machine of the same kind, with Python {python} and a clone of autotune {autotune}:

    python3 -m venv venv
    venv/bin/pip install --no-deps path/to/autotune
    venv/bin/pip install -r requirements.txt
    PYTHON=venv/bin/python ./start.sh 0 venv/bin/python your_server.py

In your server, `session = autotune.runtime.load()` is the measured session. `start.sh` takes the number of
the instance, from 0 to {last}, and your command. What differs from what was measured is refused, and named.
"""


def write_bundle(plan: Plan, target: Path, *, force: bool = False) -> Path:
    """Write a plan with all that it is served with.

    Args:
        target: a folder that is not there yet, or a file `*.tar`.
        force: replace a bundle, or the file, that is there.

    Raises:
        ExportError: something of the plan is gone, or the target cannot be written.
        BackendError: the plan's engine is unknown.
    """
    contents = contents_of(plan)
    requirements = pinned_requirements(contents.packages)
    _check_target(target, force=force)
    try:
        with _beside(target) as area:
            folder = area / "unpacked" / target.name.removesuffix(TAR)
            _fill(folder, plan, contents, requirements)
            if target.suffix == TAR:
                packed = area / "packed.tar"
                with tarfile.open(packed, "w") as tar:
                    tar.add(folder, arcname=folder.name)
                if not force:
                    target.touch(exist_ok=False)
                packed.replace(target)
            else:
                if force and target.exists():
                    shutil.rmtree(target)
                folder.rename(target)
    except OSError as error:
        if not force and error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise _there_already(target) from error  # since it was looked for: another export was quicker
        place = target if is_out_of_space(error) else error.filename or target
        raise ExportError(
            f"{str(place)!r} cannot be written: {error.strerror}",
            remedy=write_remedy(error, "give another place with --bundle"),
        ) from error
    return target


def _fill(folder: Path, plan: Plan, contents: BundleContents, requirements: tuple[str, ...]) -> None:
    for name, source in contents.files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        shutil.copystat(source, place)
        place.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    autotune, machine = version("autotune"), str(plan.machine.get("model_name") or "an unnamed machine")
    (folder / PLAN_FILE).write_text(plan_text(contents))
    (folder / START).write_text(_START)
    (folder / START).chmod(0o755)
    words = _REQUIREMENTS.format(plan=plan.id, autotune=autotune)
    (folder / REQUIREMENTS).write_text(words + "".join(f"{line}\n" for line in requirements))
    count = len(plan.instances)
    record = record_of(folder, plan.versions, machine)
    (folder / README).write_text(
        _README.format(
            plan=plan.id,
            instances="1 instance" if count == 1 else f"{count} instances",
            source=plan.model["source"],
            machine=machine,
            python=record["python"],
            autotune=autotune,
            last=count - 1,
        )
    )
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def _check_target(target: Path, *, force: bool) -> None:
    """Refuse to write over what is no bundle, or over anything without `force`.

    Raises:
        ExportError: it is.
    """
    if not os.path.lexists(target):
        return
    if target.is_dir():
        if target.suffix == TAR or (any(target.iterdir()) and not (target / RECORD_FILE).is_file()):
            raise ExportError(f"the folder {str(target)!r} is no bundle", remedy="give one that is not there")
        if not any(target.iterdir()):
            return
    elif target.suffix != TAR:
        raise ExportError(f"{str(target)!r} is a file", remedy="give a folder, or a name that ends with .tar")
    if not force:
        raise _there_already(target)


def _there_already(target: Path) -> ExportError:
    return ExportError(
        f"{str(target)!r} is there already", remedy="give --force to replace it, or another place"
    )


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder on the target's own disk, gone afterwards."""
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    area = Path(tempfile.mkdtemp(prefix=".autotune-", dir=target.absolute().parent))
    try:
        yield area
    finally:
        shutil.rmtree(area, ignore_errors=True)
