"""What earlier preparations took, read from the cache."""

from __future__ import annotations

import json
from pathlib import Path

from autotune.model.artifacts.artifact import ArtifactName
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import Manifest, record_files
from autotune.model.sources import ResolvedModel
from autotune.preparation.preparing import prepare_artifact
from autotune.preparation.records import model_bytes, preparation_records


def put(cache: ArtifactCache, backend: str, size_bytes: int, seconds: float | None) -> None:
    """Put an artifact of a model of the digest `d` into the cache."""
    name = ArtifactName("d", backend, "fp32", {})
    key = name.key()
    with cache.exclusively(key), cache.staging(key) as directory:
        (directory / "weights").write_bytes(b"w" * size_bytes)
        manifest = Manifest(
            key=key,
            backend=backend,
            precision="fp32",
            model_digest="d",
            model_source="random:it",
            versions={},
            isa=(),
            shapes=((1, 8),),
            seconds=seconds,
            created_s=0.0,
            files=record_files(directory),
            observed_precision="fp32",
        )
        cache.publish(directory, manifest)


def test_a_record_has_the_seconds_and_the_size_of_the_models_reference(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    put(cache, "reference", 1000, 4.0)
    put(cache, "onnxruntime", 10, 7.5)
    records = {record.backend: record for record in preparation_records(cache)}
    record = records["onnxruntime"]
    assert (record.seconds, record.model_bytes, record.shapes) == (7.5, 1000, 1)
    assert model_bytes(ResolvedModel("random:it", "random", "d", None), cache) == 1000
    assert model_bytes(ResolvedModel("random:it", "random", "e", None), cache) is None


def test_looks_and_artifacts_that_nobody_timed_have_no_record(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    put(cache, "look-pytorch", 10, 1.0)
    put(cache, "pytorch", 10, None)
    assert preparation_records(cache) == []


def test_preparing_notes_its_seconds(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_text(json.dumps({"schema": "autotune.fake/1"}))
    cache = ArtifactCache(tmp_path / "cache")
    model = ResolvedModel("fake:model.json", "fake", "d" * 64, file)
    prepare_artifact(model, "fake", "fp32", frozenset(), cache, timeout_s=60)
    (record,) = preparation_records(cache)
    assert record.seconds > 0
    assert (record.backend, record.model_source) == ("fake", "fake:model.json")
