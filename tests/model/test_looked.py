"""What a look showed, as a file in the cache; and what a reduced model is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autotune.model.artifacts.manifest import read_manifest, record_files
from autotune.model.looked import Look, Refused, read_look, write_look
from autotune.model.reduced import architecture_digest, reduced_layers, why_not_reduced
from autotune.model.sources import ResolvedModel, resolve_model


@pytest.mark.parametrize("answer", [Look(0.1, 2.0, 1, 6, 3.0), Refused("no such operator", is_final=False)])
def test_what_a_look_showed_is_read_as_it_was_written(tmp_path: Path, answer: Look | Refused) -> None:
    write_look(tmp_path, answer)
    assert read_look(tmp_path) == answer


@pytest.mark.parametrize("text", ["", "{}", '{"format": "autotune.look/2"}', '{"format": "autotune.look/1"}'])
def test_a_file_that_is_not_one_of_ours_shows_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "look.json").write_text(text)
    assert read_look(tmp_path) is None


@pytest.mark.parametrize(("kind", "word"), [("onnx", "ONNX"), ("fake", "fake"), ("path", r"config\.json")])
def test_a_model_that_has_no_configuration_to_cut_down_is_named_with_the_reason(kind: str, word: str) -> None:
    reason = why_not_reduced(ResolvedModel(f"{kind}:here", kind, "ab" * 32, None))
    assert reason is not None
    assert word.replace("\\", "") in reason


def test_few_tokens_keep_two_layers_and_many_keep_one() -> None:
    assert reduced_layers((1, 32), 6) == 2
    assert reduced_layers((8, 128), 6) == 1
    assert reduced_layers((1, 32), 1) == 1


def test_models_that_differ_in_their_weights_alone_are_reduced_to_the_same() -> None:
    first, second, other = (
        resolve_model(source, base=Path(), seed=seed, offline=True)
        for source, seed in (("random:minilm-l6", 0), ("random:minilm-l6", 1), ("random:bert-base", 0))
    )
    assert first.digest != second.digest
    assert architecture_digest(first) == architecture_digest(second) != architecture_digest(other)


def test_what_decides_nothing_in_a_configuration_is_left_out_of_its_digest(tmp_path: Path) -> None:
    digests = []
    changes: tuple[dict[str, object], ...] = ({}, {"_name_or_path": "here"}, {"hidden_size": 8})
    for number, more in enumerate(changes):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"hidden_size": 4, **more}))
        digests.append(architecture_digest(ResolvedModel("path:it", "path", "ab" * 32, folder)))
    assert digests[0] == digests[1] != digests[2]


def test_a_manifest_of_before_seconds_were_noted_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"w")
    (file,) = record_files(tmp_path)
    old = {
        **{"format": "autotune.artifact/1", "key": "k", "backend": "pytorch", "precision": "fp32"},
        **{"model_digest": "d", "model_source": "random:it", "versions": {}, "isa": [], "created_s": 0.0},
        **{"files": [file.model_dump()], "observed_precision": "fp32", "calibration": "", "agreement": None},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    read = read_manifest(tmp_path)
    assert read is not None
    assert (read.seconds, read.shapes) == (None, ())
