"""A cache of version 0.1.0 is read: names, keys and manifests are what they were."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from autotune.model.artifacts.artifact import ArtifactName
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import Manifest
from autotune.model.calibration import CalibrationSource
from autotune.model.sources import resolve_model
from autotune.model.stored_study import StoredProblem
from autotune.model.stream_source import StreamSource
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import prepare_artifact, prepare_assessment, prepare_stream

KEPT: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("assets").joinpath("cache-0.1.0.json").read_text(encoding="utf-8")
)
"""Names, keys and manifests of a cache in which version 0.1.0 has prepared a fake model, and a BERT for two
engines, with a stream of each, and has looked at engines."""

ISA = frozenset({"avx2"})
CALIBRATION = CalibrationSource(sequences=8, tokens=32)
STREAM = StreamSource(
    StoredProblem.model_validate(
        {"batch_size": 4, "lengths": {"lognormal": {"median": 12, "sigma": 0.6, "max": 48}}}
    ),
    *("none", "sorted"),
    is_whole=False,
    parts=1,
    seed=0,
)
WRITE_BERT = """
import sys
from transformers import BertConfig, BertForSequenceClassification

sizes = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128)
BertForSequenceClassification(BertConfig(vocab_size=1000, **sizes)).save_pretrained(sys.argv[1])
"""
SAID = ("backend", "precision", "isa", "calibration", "knobs", "shapes", "observed_precision")
"""What a manifest says that neither time, model nor versions decide."""


def as_name(fields: Mapping[str, Any]) -> ArtifactName:
    tuples = {name: tuple(fields[name]) for name in ("isa", "made_of")}
    shapes = tuple((batch, tokens) for batch, tokens in fields["shapes"])
    return ArtifactName(**{**fields, **tuples, "shapes": shapes})


@pytest.mark.parametrize(
    "kept", KEPT, ids=lambda kept: f"{kept['name']['backend']} {kept['name']['precision']}"
)
def test_equal_names_have_the_keys_that_they_had(kept: dict[str, Any]) -> None:
    name = as_name(kept["name"])
    assert json.loads(json.dumps(asdict(name))) == kept["name"]
    assert name.key() == kept["key"]


@pytest.mark.parametrize(
    "kept", [kept for kept in KEPT if kept["manifest"]], ids=lambda kept: kept["key"][:6]
)
def test_manifests_are_written_as_they_were(kept: dict[str, Any]) -> None:
    manifest = Manifest.model_validate_json(kept["manifest"])
    assert manifest.key == kept["key"]
    assert manifest.model_dump_json(indent=2) + "\n" == kept["manifest"]


def said(manifests: list[Manifest]) -> set[str]:
    return {json.dumps({name: getattr(manifest, name) for name in SAID}) for manifest in manifests}


def kept_manifests(*backends: str, source: str) -> list[Manifest]:
    """Those of these engines, or of what stands in an engine's place."""
    manifests = [Manifest.model_validate_json(kept["manifest"]) for kept in KEPT if kept["manifest"]]
    return [one for one in manifests if one.backend in backends and one.model_source.startswith(source)]


def manifests_of(cache: ArtifactCache) -> list[Manifest]:
    return [entry.manifest for entry in cache.entries() if entry.manifest is not None]


def test_what_is_made_of_a_fake_model_is_called_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text(json.dumps({"schema": "autotune.fake/1"}))
    model = resolve_model("fake:fake.json", base=tmp_path, seed=0, offline=True)
    cache = ArtifactCache(tmp_path / "cache")
    prepare_artifact(model, "fake", "fp32", ISA, cache, timeout_s=60)
    prepare_stream(model, STREAM, cache, timeout_s=60)
    assert said(manifests_of(cache)) == said(kept_manifests("fake", "requests", source="fake:"))


@pytest.mark.engines
def test_what_is_made_of_a_real_model_is_called_what_it_was(tmp_path: Path) -> None:
    words = [sys.executable, "-P", "-c", WRITE_BERT, str(tmp_path / "bert")]
    subprocess.run(words, check=True, capture_output=True)
    model = resolve_model("path:bert", base=tmp_path, seed=0, offline=True)
    cache = ArtifactCache(tmp_path / "cache")
    artifacts = [
        prepare_artifact(
            *(model, "onnxruntime", precision, ISA, cache),
            timeout_s=200,
            made_for=MadeFor(calibration=CALIBRATION, shapes=[(4, 16)]),
        )
        for precision in ("fp32", "int8-dynamic")
    ]
    prepare_assessment(model, artifacts[0], CALIBRATION, None, cache, threads=1, timeout_s=200)
    named = ("reference", "calibration", "onnxruntime", "assessment-onnxruntime")
    assert said(manifests_of(cache)) == said(kept_manifests(*named, source="path:"))
