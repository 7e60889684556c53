"""Decides which studies may be asked for over HTTP: nothing in one may run, or lead where it should not."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from autotune.errors import StudyFileError
from autotune.service.settings import ServiceSettings
from autotune.spec.model_source import model_kind
from autotune.spec.named_file import NamedFile
from autotune.spec.part import Part
from autotune.spec.price import Price
from autotune.spec.study import StudySpec

COMBINATIONS: Final = 100_000
"""Points that the lists of a search may have together; what is `auto` is bounded by the machine."""
TOKENS: Final = 2**24
"""Of one request, and of all sequences whose answers are compared: 128 MiB of ids."""

Kind = TypeVar("Kind", bound=Part)


def admit(spec: StudySpec, settings: ServiceSettings) -> StudySpec:
    """Give the study with its paths resolved, or refuse it.

    Its models and files must lie below a folder that the operator named; a relative path starts from one of
    these. Links are followed first, so that none leads out.

    Raises:
        StudyFileError: it names a file elsewhere, a command, a library to load, or is too large to try.
    """
    _check_size(spec)
    _check_commands(spec, settings)
    roots = tuple(root.resolve() for root in settings.roots)
    closed = settings.state.resolve()
    models = tuple(_model(source, roots, closed) for source in spec.models)
    if len(set(models)) < len(models):
        raise StudyFileError("two of the models are the same", path="model", remedy="name each once")
    placed = _placed(spec, (), roots, closed)
    return placed.model_copy(update={"model": models if len(models) > 1 else models[0]})


def _check_size(spec: StudySpec) -> None:
    search = spec.search
    lists = [value for name in type(search).model_fields if isinstance(value := getattr(search, name), tuple)]
    points = math.prod(len(values) for values in lists) * len(spec.models)
    if points > COMBINATIONS:
        raise StudyFileError(
            f"its lists have {points} combinations, which are too many",
            path="search",
            remedy=f"write shorter ones, of at most {COMBINATIONS} combinations together, or auto",
        )
    longest = spec.problem.longest or 1
    for name, sequences in (("problem", spec.problem.batch_size), ("quality", spec.quality.sequences)):
        if sequences * longest > TOKENS:
            raise StudyFileError(
                f"{sequences} sequences of up to {longest} tokens are too many at once",
                path=name,
                remedy=f"write fewer or shorter ones, of at most {TOKENS} tokens together",
            )


def _check_commands(spec: StudySpec, settings: ServiceSettings) -> None:
    """Refuse what would run as a program, now or once it is exported."""
    launch = spec.launch
    if launch is not None and not settings.commands:
        for name in ("command", "environment", "directory"):
            if getattr(launch, name):
                raise StudyFileError(
                    "over HTTP no study says how a server is started",
                    path=f"launch.{name}",
                    remedy="leave it out, or have the operator start the service with --allow-commands",
                )
    for knob, values in spec.search.knobs.items() if isinstance(spec.search.knobs, dict) else ():
        if any("/" in value for value in values):
            raise StudyFileError(
                "over HTTP no study names a library that is loaded into processes",
                path=f"search.knobs.{knob}",
                remedy="write one of its named values: autotune knobs lists them",
            )


def _model(source: str, roots: Sequence[Path], closed: Path) -> str:
    kind = model_kind(source)
    prefix, _, rest = source.partition(":")
    if kind.is_downloaded:
        _check_repository(source, rest)
        return source
    return f"{prefix}:{_locate(rest, ('model',), roots, closed)}" if kind.has_files else source


def _check_repository(source: str, rest: str) -> None:
    """Refuse what is a repository's name by its letters alone: addresses, and steps out of the cache."""
    name, _, revision = rest.partition("@")
    parts = [*name.split("/"), *revision.split("/")]
    if any(part in ("", ".", "..") or ".." in part for part in (parts if revision else name.split("/"))):
        raise _no_repository(source)
    try:
        ipaddress.ip_address(name.split("/")[0])
    except ValueError:
        return
    raise _no_repository(source)


def _no_repository(source: str) -> StudyFileError:
    return StudyFileError(
        f"{source!r} names no repository of the hub",
        path="model",
        remedy="write hf:ORG/NAME or hf:ORG/NAME@REVISION",
    )


def _placed(part: Kind, place: tuple[str, ...], roots: Sequence[Path], closed: Path) -> Kind:
    """Give a part of a study with every file in it located."""
    changed: dict[str, object] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, Part):
            changed[name] = _placed(value, (*place, name), roots, closed)
    if isinstance(part, NamedFile):
        changed["path"] = str(_locate(part.path, place, roots, closed))
    if isinstance(part, Price) and part.table is not None:
        changed["table"] = _table(part, part.table, place, roots, closed)
    return part.model_copy(update=changed) if changed else part


def _table(price: Price, table: str, place: tuple[str, ...], roots: Sequence[Path], closed: Path) -> str:
    if price.is_known:
        raise StudyFileError(
            "what a table says is looked up by the service",
            path=".".join((*place, "table")),
            remedy="leave per_hour, cores and date out, or the table",
        )
    return str(_locate(table, (*place, "table"), roots, closed))


def _locate(text: str, place: tuple[str, ...], roots: Sequence[Path], closed: Path) -> Path:
    """Give the real path of what a study names, which must lie below a root, and not among our own files."""
    where = ".".join(place)
    if not roots:
        raise StudyFileError(
            "the service reads no files",
            path=where,
            remedy="name a model of the hub or random:NAME, or have it started with --root DIR",
        )
    for root in roots:
        real = _real(root, text)
        inside = real is not None and any(real.is_relative_to(other) for other in roots)
        if real is not None and inside and not real.is_relative_to(closed) and _is_there(real):
            return real
    raise StudyFileError(
        f"{text[:200]!r} is no file or folder below those that the service reads",
        path=where,
        remedy="write its path from one of them, or have the service started with --root DIR",
    )


def _real(root: Path, text: str) -> Path | None:
    try:
        return (root / text).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, links in a circle, a name that is too long
        return None


def _is_there(path: Path) -> bool:
    """Whether it is a file or a folder: a pipe or a device would keep its reader waiting."""
    try:
        return path.is_file() or path.is_dir()
    except OSError:
        return False
