"""Model sources: `random:NAME`, `path:DIR`, `hf:ORG/NAME@REVISION`, `onnx:FILE`, `fake:FILE`."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from autotune.errors import ModelError
from autotune.model.architectures import ARCHITECTURES
from autotune.model.digests import digest_files
from autotune.model.folders.folder import read_folder
from autotune.model.folders.sentence_modules import SentenceModules
from autotune.model.hub.fetch import download
from autotune.model.inputs import InputsDescription
from autotune.model.onnx.file import read_onnx_file
from autotune.spec.model_kind import MODEL_KINDS, ModelKind
from autotune.spec.model_source import FORMS, ArrayKind, Head, model_kind

RANDOM_WEIGHTS_VERSION = 1
"""Raised whenever the same seed would give other weights; part of the digest."""


@dataclass(frozen=True)
class ResolvedModel:
    """A model that is present on this machine, identified by its content.

    Attributes:
        source: as written in the study.
        kind: name of its kind, as engines are told it.
        digest: hex SHA-256 over what decides its outputs (config and weights, or architecture and seed).
        path: its folder (`path`, `hf`) or file (`onnx`, `fake`); None for `random`.
        architecture: the name after `random:`; empty otherwise.
        seed: seed of random weights.
        inputs: what an `onnx` file takes; None for others, whose configuration says it.
        notes: in what it is served otherwise than its files ask for, as sentences.
        head: what of it is served, where the study says so.
        weights: how many numbers the matrices of an `onnx` file hold; None for others.
        modules: what is served beside its encoder, or behind the graph of an `onnx` file; None where that, or
            its class with its head, is all.
    """

    source: str
    kind: str
    digest: str
    path: Path | None
    architecture: str = ""
    seed: int = 0
    inputs: InputsDescription | None = None
    notes: tuple[str, ...] = ()
    head: Head | None = None
    weights: int | None = None
    modules: SentenceModules | None = None

    def in_folder(self, folder: Path) -> ResolvedModel:
        """Give it as a transformers folder that was written of it, or of a part of it."""
        return replace(self, kind="path", path=folder)

    @property
    def traits(self) -> ModelKind:
        """What can be done with a model of its kind."""
        return MODEL_KINDS[self.kind]

    @property
    def class_head(self) -> Head | None:
        """The head of the transformers class that is loaded: behind an encoder with modules there is none."""
        return self.head if self.modules is None else "none"


def resolve_model(
    source: str,
    *,
    base: Path,
    seed: int,
    offline: bool,
    arrays: Mapping[str, ArrayKind] | None = None,
    head: Head | None = None,
) -> ResolvedModel:
    """Find the model on this machine, downloading it if it comes from the hub, and take its digest.

    Args:
        base: folder that relative paths start from (the study file's).
        seed: seed of random weights.
        offline: never ask the hub.
        arrays: what the inputs of an `onnx` file hold, by name, where their names do not tell.
        head: what of a `path`, `hf` or `onnx` model is served; None = the study does not say, and what may
            not be meant is refused.

    Raises:
        ModelError: the source is malformed, absent, unsafe to load, or cannot be downloaded.
    """
    rest = source.partition(":")[2]
    resolvers: dict[str, Callable[[], ResolvedModel]] = {
        "random": lambda: _resolve_random(source, rest, seed),
        "path": lambda: _resolve_folder(source, "path", _locate(rest, base), head),
        "hf": lambda: _resolve_folder(source, "hf", download(rest, offline=offline), head),
        "onnx": lambda: _resolve_onnx(source, _named(rest, base), arrays or {}, head),
        "fake": lambda: _resolve_fake(source, _locate(rest, base)),
    }
    if not rest:
        raise ModelError(f"{source!r} is not a model source", remedy=f"write {FORMS}")
    return resolvers[model_kind(source).name]()


def _resolve_random(source: str, name: str, seed: int) -> ResolvedModel:
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=1)
        hint = f"did you mean random:{near[0]}? " if near else ""
        raise ModelError(
            f"{name!r} is not an architecture that random: knows",
            remedy=f"{hint}known: {', '.join(ARCHITECTURES)}",
        )
    architecture = ARCHITECTURES[name]
    content = {
        "random_weights": RANDOM_WEIGHTS_VERSION,
        "class": architecture.class_name,
        "model_type": architecture.model_type,
        "config": dict(architecture.config),
        "seed": seed,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return ResolvedModel(source, "random", digest, None, architecture=name, seed=seed)


def _resolve_folder(source: str, kind: str, directory: Path, head: Head | None) -> ResolvedModel:
    found = read_folder(directory, head)
    return ResolvedModel(
        source, kind, found.digest, directory, notes=found.notes, head=head, modules=found.modules
    )


def _resolve_onnx(
    source: str, file: Path, arrays: Mapping[str, ArrayKind], head: Head | None
) -> ResolvedModel:
    found = read_onnx_file(file, arrays, head)
    return ResolvedModel(
        source,
        "onnx",
        found.digest,
        file,
        inputs=found.inputs,
        notes=found.notes,
        head=head,
        weights=found.weights,
        modules=found.modules,
    )


def _resolve_fake(source: str, file: Path) -> ResolvedModel:
    try:
        if not file.is_file():
            raise ModelError(f"{file} is not a file", remedy="fake: takes the JSON file of a fake model")
        return ResolvedModel(source, "fake", digest_files([file]), file)
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read: {error.strerror}", remedy="check its permissions"
        ) from error


def _named(text: str, base: Path) -> Path:
    """The absolute path as it is named: a link keeps its place, as what belongs to it lies beside it.

    Raises:
        ModelError: see `_locate`.
    """
    _locate(text, base)
    return (base / Path(text).expanduser()).absolute()


def _locate(text: str, base: Path) -> Path:
    """The absolute path.

    Raises:
        ModelError: it leads nowhere: a user that does not exist, or links in a circle.
    """
    try:
        return (base / Path(text).expanduser()).resolve()
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{text} leads nowhere: {error}", remedy="check the path") from error
