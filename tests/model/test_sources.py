"""A source is found on this machine and identified by its content, or refused in one sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import ModelError
from autotune.model.architectures import ARCHITECTURES
from autotune.model.sources import ResolvedModel, resolve_model


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of our own, and no hub within reach."""
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A transformers folder; only its digest is taken here, so that the weights may be anything."""
    return write_folder(tmp_path / "model")


def write_folder(directory: Path) -> Path:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text('{"model_type": "bert"}')
    (directory / "model.safetensors").write_bytes(safetensors(b"weights"))
    return directory


def safetensors(data: bytes) -> bytes:
    """A file of one tensor of these bytes."""
    entry = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": entry}).encode()
    return len(header).to_bytes(8, "little") + header + data


def resolve(source: str, base: Path = Path("/"), *, seed: int = 0, offline: bool = True) -> ResolvedModel:
    return resolve_model(source, base=base, seed=seed, offline=offline)


@pytest.mark.parametrize("source", ["", "bert-base", "random:", "zip:model", "Random:bert-base", ":x"])
def test_what_is_no_source_is_refused_with_the_forms_there_are(source: str) -> None:
    with pytest.raises(ModelError, match="hf:ORG/NAME@REVISION"):
        resolve(source)


def test_random_models_differ_by_architecture_and_seed_alone() -> None:
    digests = {resolve(f"random:{name}", seed=seed).digest for name in ARCHITECTURES for seed in (0, 1)}
    assert len(digests) == 2 * len(ARCHITECTURES)
    assert resolve("random:minilm-l6", seed=1) == resolve("random:minilm-l6", Path("/tmp"), seed=1)


def test_an_unknown_architecture_is_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean random:distilbert-base"):
        resolve("random:distilbert")


def test_a_folder_is_found_from_the_study_file(folder: Path) -> None:
    model = resolve("path:model", folder.parent)
    assert model.path == folder
    assert model.digest == resolve(f"path:{folder}").digest


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_the_digest_follows_the_content_not_the_name(folder: Path, name: str) -> None:
    before = resolve(f"path:{folder}").digest
    moved = folder.rename(folder.parent / "moved")
    assert resolve(f"path:{moved}").digest == before
    content = bytearray((moved / name).read_bytes())
    content[-2] ^= 1
    (moved / name).write_bytes(bytes(content).replace(b"}", b" }") if name == "config.json" else content)
    if name == "config.json":
        (moved / name).write_text('{"model_type": "bert", "layer_norm_eps": 1e-5}')
    assert resolve(f"path:{moved}").digest != before


def test_a_file_put_in_the_place_of_another_of_equal_size_and_time_is_read_again(folder: Path) -> None:
    before = resolve(f"path:{folder}").digest
    weights = folder / "model.safetensors"
    status = weights.stat()
    other = folder / "other"
    other.write_bytes(safetensors(b"WEIGHTS"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(weights)
    assert resolve(f"path:{folder}").digest != before


def test_sharded_weights_are_digested_shard_by_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    shards = {f"model-0000{n}-of-00002.safetensors": safetensors(b"shard %d" % n) for n in (1, 2)}
    for name, content in shards.items():
        (folder / name).write_bytes(content)
    index = {"weight_map": {f"w{n}": name for n, name in enumerate(shards)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    before = resolve(f"path:{folder}").digest
    (folder / "model-00002-of-00002.safetensors").write_bytes(safetensors(b"shard 3"))
    assert resolve(f"path:{folder}").digest != before


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_pickles_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_decoder(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')


def with_decoder_named(folder: Path) -> None:
    config = {"model_type": "t5", "is_encoder_decoder": True, "architectures": ["T5ForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(config))


def with_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def with_config_of_another_kind(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def without_shard(folder: Path) -> None:
    index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors").rename(folder / "model.safetensors.index.json")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def with_half_a_download(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-3])


def with_other_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)


def with_a_deep_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def with_shard_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.safetensors.index.json")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"w": "../secret.safetensors"}}')


@pytest.mark.parametrize("named", ["T5EncoderModel", "MT5EncoderModel"])
def test_the_encoder_of_an_encoder_decoder_is_an_encoder(folder: Path, named: str) -> None:
    config = {"model_type": "t5", "is_encoder_decoder": True, "architectures": [named]}
    (folder / "config.json").write_text(json.dumps(config))
    assert resolve(f"path:{folder}").digest


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_weights, "has no model.safetensors"),
        (with_pickles_only, "pytorch_model.bin.*can run code"),
        (with_decoder, "encoder-decoder"),
        (with_decoder_named, r"an encoder-decoder \(t5, T5ForConditionalGeneration\)"),
        (with_broken_config, "is not JSON"),
        (with_config_of_another_kind, "not a JSON object"),
        (without_config, "has no config.json"),
        (with_half_a_download, "is damaged"),
        (with_other_weights, "is not a safetensors file"),
        (with_a_deep_config, "is not JSON"),
        (without_shard, "lacks model-00001-of-00001.safetensors"),
        (with_shard_elsewhere, "'../secret.safetensors', not a safetensors file beside it"),
    ],
)
def test_a_folder_that_must_not_or_cannot_be_loaded_is_refused(
    folder: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(folder)
    with pytest.raises(ModelError, match=words) as caught:
        resolve(f"path:{folder}")
    assert caught.value.remedy


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a folder"):
        resolve("path:nowhere", tmp_path)


def test_a_fake_model_is_its_file(tmp_path: Path) -> None:
    file = tmp_path / "fake.json"
    file.write_text("{}")
    first = resolve("fake:fake.json", tmp_path)
    file.write_text("{ }")
    assert first.path == file
    assert resolve("fake:fake.json", tmp_path).digest != first.digest


def test_a_fake_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a file"):
        resolve("fake:fake.json", tmp_path)


@pytest.mark.parametrize(
    "name", ["org/model/x", "../x", "org/mo del", "org/model@", "-x/y", "org/model@../x"]
)
def test_a_malformed_repository_is_refused_before_anyone_is_asked(name: str) -> None:
    with pytest.raises(ModelError, match="is not a repository"):
        resolve(f"hf:{name}", offline=False)


def test_offline_names_the_option_and_the_command_that_downloads() -> None:
    with pytest.raises(ModelError) as caught:
        resolve("hf:org/model@v1", offline=True)
    assert "not in the local cache, and --offline was given" in caught.value.problem
    assert "hf download org/model --revision v1" in caught.value.remedy


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_by_variable_names_the_variable(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ModelError, match=f"{variable} is set"):
        resolve("hf:org/model", offline=False)


def test_a_hub_that_cannot_be_reached_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"hf:org/model@main cannot be downloaded: .*") as caught:
        resolve("hf:org/model", offline=False)
    assert "\n" not in caught.value.problem
    assert "Traceback" not in capfd.readouterr().err


def test_a_model_in_the_hubs_cache_is_used_without_asking(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    stored = tmp_path / "hub" / "hub" / "models--org--model"
    snapshot = write_folder(stored / "snapshots" / commit)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(commit)
    for revision in ("", "@main", f"@{commit}"):
        assert resolve(f"hf:org/model{revision}").path == snapshot
    assert resolve("hf:org/model").digest == resolve(f"path:{snapshot}").digest


def test_a_model_of_which_the_hubs_cache_has_a_part_is_not_used(tmp_path: Path) -> None:
    snapshot = write_folder(tmp_path / "hub/hub/models--org--model/snapshots" / ("0" * 40))
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="not in the local cache"):
        resolve(f"hf:org/model@{'0' * 40}")


def test_a_model_of_which_the_hubs_cache_lacks_modules_is_not_used(tmp_path: Path) -> None:
    snapshot = write_folder(tmp_path / "hub/hub/models--org--model/snapshots" / ("0" * 40))
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (snapshot / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="not in the local cache"):
        resolve(f"hf:org/model@{'0' * 40}")
    (snapshot / "1_Pooling").mkdir()
    (snapshot / "1_Pooling" / "config.json").write_text("{}")
    assert resolve(f"hf:org/model@{'0' * 40}").modules is not None


@pytest.mark.parametrize(
    "source", ["path:~nobody-of-this-name/model", "fake:~nobody-of-this-name/model.json"]
)
def test_a_path_that_leads_nowhere_is_refused(source: str) -> None:
    with pytest.raises(ModelError, match="leads nowhere"):
        resolve(source)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ModelError, match="leads nowhere"):
        resolve("path:a", tmp_path)
