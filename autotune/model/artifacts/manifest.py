"""The manifest of an artifact: what it is, and what its files looked like when it was complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from autotune.model.artifacts.changes import digest_of
from autotune.model.exported import Export
from autotune.spec.configuration import Precision

MANIFEST_FILE = "manifest.json"


class FileRecord(BaseModel):
    """One file of an artifact; its size and time tell whether it has been touched since.

    Attributes:
        sha256: in hex; tells of a copy, which has another time, whether it is the same. Empty in manifests of
            versions that did not note it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size_bytes: int
    mtime_ns: int
    sha256: str = ""

    @model_serializer(mode="wrap")
    def _as_it_was_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name != "sha256" or value}


class AgreementRecord(BaseModel):
    """The fields of `autotune.model.agreement.Agreement`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cosine: float
    max_abs_difference: float


class Manifest(BaseModel):
    """What an artifact is; written last, so that only a complete artifact has one.

    Attributes:
        export: by which way it was exported; None of what is no export, and in older manifests.
        agreement: with the fp32 reference; None where there is none (a fake model).
        observed_precision: as the engine read it back after loading.
        created_s: Unix time.
        calibration, knobs, shapes: as in `ArtifactName`.
        seconds: from the request to the finished files, imports included and what it is made from left out;
            None in manifests of versions that did not note it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["autotune.artifact/1"] = "autotune.artifact/1"
    key: str
    backend: str
    precision: Precision
    model_digest: str
    model_source: str
    versions: dict[str, str]
    isa: tuple[str, ...]
    created_s: float
    files: tuple[FileRecord, ...]
    observed_precision: str
    calibration: str = ""
    knobs: str = ""
    shapes: tuple[tuple[int, int], ...] = ()
    seconds: float | None = None
    agreement: AgreementRecord | None = None
    export: Export | None = None

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)


def record_files(directory: Path) -> tuple[FileRecord, ...]:
    """Describe every file of a finished artifact but the manifest itself, by name."""
    return tuple(
        FileRecord(name=name, size_bytes=size_bytes, mtime_ns=mtime_ns, sha256=digest_of(directory / name))
        for name, size_bytes, mtime_ns in _looks(directory)
    )


def _looks(directory: Path) -> list[tuple[str, int, int]]:
    """Name, size in bytes and time of every file but the manifest itself, by name."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST_FILE)
    states = ((path, path.stat()) for path in files)
    return [(str(path.relative_to(directory)), state.st_size, state.st_mtime_ns) for path, state in states]


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into `directory`."""
    (directory / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest, if the artifact is complete and its files are as they were; else None."""
    try:
        manifest = Manifest.model_validate_json((directory / MANIFEST_FILE).read_bytes())
        stated = [(file.name, file.size_bytes, file.mtime_ns) for file in manifest.files]
        complete = _looks(directory) == stated
    except (OSError, ValidationError):
        return None
    return manifest if complete else None
