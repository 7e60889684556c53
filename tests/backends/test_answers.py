"""However sequences share requests, each has the answer that it has alone; and a real study of texts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from autotune import tune
from autotune.machine.read import read_machine
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.sources import resolve_model
from autotune.model.stored_study import StoredProblem
from autotune.model.stream_source import StreamSource
from autotune.preparation.preparing import prepare_artifact, prepare_stream
from autotune.search.serving import PROMISING
from autotune.spec.configuration import Batching, Padding
from autotune.spec.load import parse_study

pytestmark = [pytest.mark.engines, pytest.mark.slow]

CHILD = Path(__file__).with_name("answers_child.py")
TIMEOUT_S = 240.0
LEAST_COSINE, MOST_DIFFERENCE = 0.99999, 1e-4
"""Of fp32: padding changes the order of additions, and nothing else."""


@pytest.fixture(scope="module")
def model(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small model with hidden states for answers, a tokenizer beside it, and a cache."""
    folder = tmp_path_factory.mktemp("texts") / "model"
    shutil.copytree(tiny_models / "classifier", folder)
    words = {word: 100 + index for index, word in enumerate(("good", "bad", "day", "night", "a", "the"))}
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 99, **words}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_CACHE", str(folder.parent / "cache"))
        yield folder


@pytest.mark.parametrize("backend", ["pytorch", "onnxruntime"])
def test_padding_buckets_sorting_and_caching_do_not_change_any_answer(model: Path, backend: str) -> None:
    found = resolve_model(f"path:{model}", base=Path("/"), seed=0, offline=True)
    isa, cache = read_machine().isa, ArtifactCache()
    artifact, reference = (
        prepare_artifact(found, name, "fp32", isa, cache, timeout_s=TIMEOUT_S).directory
        for name in (backend, "pytorch")
    )
    problem = {"batch_size": 4, "lengths": {"lognormal": {"median": 12, "sigma": 0.6, "max": 48}}}
    cached = {**problem, "cache": {"hit_rate": 0.4}}
    sources = [
        *(source(problem, *serving) for serving in PROMISING),
        *(source(cached, *serving) for serving in (PROMISING[0], PROMISING[-1])),
    ]
    streams = [prepare_stream(found, one, cache, timeout_s=TIMEOUT_S).directory for one in sources]
    words = [str(word) for word in (sys.executable, CHILD, backend, artifact, reference, *streams)]
    run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert run.returncode == 0, run.stderr
    agreements = json.loads(run.stdout)
    assert len(agreements) == len(sources)
    for agreement in agreements.values():
        assert agreement["cosine"] > LEAST_COSINE
        assert agreement["difference"] < MOST_DIFFERENCE


def source(problem: dict[str, object], padding: Padding, batching: Batching) -> StreamSource:
    requests = StoredProblem.model_validate_json(json.dumps(problem))
    return StreamSource(requests, padding, batching, is_whole=False, parts=1, seed=0)


def test_a_study_of_texts_tokenises_and_caches_within_the_cores_of_its_instances(
    model: Path, tmp_path: Path
) -> None:
    texts = [f"{'a good day and ' * (index % 5)} the bad night {index % 3}" for index in range(60)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    study = {
        "model": f"path:{model}",
        "problem": {
            **{"batch_size": 4, "texts": "texts.txt", "max_length": 48},
            **{"include": "tokenization", "cache": {"size": 20}},
        },
        "search": {
            **{"backends": "onnxruntime", "precisions": "fp32", "instances": 1, "threads": 1},
            **{"placements": "close", "padding": "none", "batching": "sorted", "knobs": "none"},
        },
        "measure": {"warmup": "500ms", "block": "100ms", "blocks": 2, "max_blocks": 2, "disturbed": "keep"},
        "confirm": {"finalists": 1, "rounds": 3},
        "budget": {"trials": 2, "minutes": 9.0},
    }
    plan = tune(
        parse_study(json.dumps(study), name="texts"), base=tmp_path, store=f"sqlite:///{tmp_path}/s.db"
    )
    assert plan.requests is not None
    assert plan.requests.sequences == 60
    assert plan.requests.hit_rate is not None
    assert plan.requests.hit_rate == pytest.approx(0.75, abs=0.15)
    assert plan.quality is not None
    assert plan.quality.inputs == "texts"
