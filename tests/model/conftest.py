"""Artifacts made by hand, through the cache's own door."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import Manifest, record_files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactCache:
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))
    return ArtifactCache()


@pytest.fixture
def store(cache: ArtifactCache) -> Callable[..., Artifact]:
    """Puts an artifact of `size_bytes` into the cache, last used `unused_s` ago."""

    def put(name: str, size_bytes: int = 10, unused_s: float = 0) -> Artifact:
        key = hashlib.sha256(name.encode()).hexdigest()
        with cache.exclusively(key), cache.staging(key) as directory:
            (directory / "weights").write_bytes(b"w" * size_bytes)
            artifact = cache.publish(directory, _manifest(key, name, directory))
        used_s = time.time() - unused_s
        os.utime(artifact.directory / "manifest.json", (used_s, used_s))
        return artifact

    return put


def _manifest(key: str, name: str, directory: Path) -> Manifest:
    return Manifest(
        key=key,
        backend="pytorch",
        precision="fp32",
        model_digest="d" * 64,
        model_source=name,
        versions={"torch": "2.13"},
        isa=("avx2",),
        created_s=0.0,
        files=record_files(directory),
        observed_precision="fp32",
    )
