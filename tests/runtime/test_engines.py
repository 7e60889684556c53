"""Every engine's session answers texts and token ids as the original model does, in a launched process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.backends.asking import why_unsupported
from autotune.backends.protocol import LoadsWith
from autotune.backends.registry import backends, get_backend, missing_packages
from autotune.machine.read import read_machine

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.matrix, pytest.mark.timeout(900)]

PlanFile = Callable[..., Path]

ENGINES = sorted(name for name in backends() if name != "fake")

WITHOUT_HEADS = ("ctranslate2",)
"""Engines that answer with hidden states alone."""

TUNING, OF_TORCH = {"optuna", "sqlalchemy", "alembic"}, {"torch", "transformers", "pydantic", "typer"}
"""What no server loads, and what only those do whose engine does."""

TEXTS = ["a b c", "a b c d e f g h i j", "j", "c c c c c c", "a b c", ["a b", "c d e"]]
IDS = [[2, 10, 11, 12, 3], [2, 13, 3, 0, 0], [2, 14, 15, 3, 0]]
MASK = [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
"""More sequences than a request of the plans has. Few lengths: JAX compiles for each that is filled up to."""

STREAM = {"batch_size": 2, "texts": "texts.txt", "include": "tokenization", "cache": {"size": 2}}

ANSWER = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import autotune.runtime

texts, ids, mask = map(json.loads, sys.argv[1:4])
texts = [text if isinstance(text, str) else tuple(text) for text in texts]


def told(session):
    report = session.report()
    with ThreadPoolExecutor(1) as pool:  # as a server does that keeps its own thread free
        together = pool.submit(session, texts).result()
    return {
        "alone": [session.answers([text])[0].tolist() for text in texts[:2]],
        "each": [answer.tolist() for answer in session.answers(texts)],
        "together": together.tolist(),
        "ids": session(input_ids=ids, attention_mask=mask).tolist(),
        "whole": session(input_ids=ids[:1]).tolist(),
        "engine": [report.engine, report.precision, report.threads],
        "differences": [each.said for each in session.differences],
    }


with autotune.runtime.load() as session:
    streamed = told(session)
with autotune.runtime.load(sys.argv[4], differences="refuse") as session:
    fixed = told(session)
print(json.dumps([streamed, fixed, sorted({name.partition(".")[0] for name in sys.modules})]))
"""

EXPECT = """
import json, sys
import torch, transformers
folder, texts, ids, mask = sys.argv[1], *map(json.loads, sys.argv[2:5])
told = {}
tokenizer = transformers.AutoTokenizer.from_pretrained(f"{folder}/encoder")
for name, kind in (("classifier", "AutoModelForSequenceClassification"), ("encoder", "AutoModel")):
    model = getattr(transformers, kind).from_pretrained(f"{folder}/{name}").eval()
    with torch.inference_mode():
        asked = [[text] if isinstance(text, str) else text for text in texts]
        alone = [model(**tokenizer(*each, return_tensors="pt"))[0][0].tolist() for each in asked]
        rows = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))[0].tolist()
    told[name] = {"alone": alone, "ids": rows}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def expected(served_models: Path) -> Any:
    """What transformers answers of each model."""
    words = [str(served_models), json.dumps(TEXTS), json.dumps(IDS), json.dumps(MASK)]
    ended = subprocess.run(
        [sys.executable, "-P", "-c", EXPECT, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("engine", ENGINES)
def test_it_answers_as_the_original_model(
    plan_file: PlanFile, in_process: Callable[..., Any], expected: Any, tmp_path: Path, engine: str
) -> None:
    if missing := missing_packages(get_backend(engine)):
        pytest.skip(f"{', '.join(missing)} is not installed")
    if reason := why_unsupported(get_backend(engine), "fp32", read_machine().isa, "path"):
        pytest.skip(reason)
    plain = [text for text in TEXTS if isinstance(text, str)]
    (tmp_path / "texts.txt").write_text("\n".join(plain * 4))
    model = "encoder" if engine in WITHOUT_HEADS else "classifier"
    streamed = plan_file(model, STREAM, backend=engine, padding="bucket", batching="sorted")
    fixed = plan_file(model, {"batch_size": 2, "sequence_length": 8}, backend=engine)
    words = [json.dumps(TEXTS), json.dumps(IDS), json.dumps(MASK), str(fixed)]
    *sessions, loaded = in_process(streamed, ANSWER, *words)
    assert not TUNING & set(loaded)
    if "torch" not in loading_packages(engine):
        assert not OF_TORCH & set(loaded)
    for told in sessions:
        assert told["engine"] == [engine, "fp32", 1]
        assert told["differences"] == []
        compare(told, expected[model])


def loading_packages(engine: str) -> tuple[str, ...]:
    """Distributions that a process loads with an engine."""
    backend = get_backend(engine)
    return backend.loads_with if isinstance(backend, LoadsWith) else backend.packages


def compare(told: Any, original: Any) -> None:
    """Compare answers with the original model's; those to what fills shorter sequences up mean nothing."""
    assert len(told["each"]) == len(told["together"]) == len(TEXTS)
    for name in ("alone", "each", "together"):
        for answer, text in zip(told[name], original["alone"][: len(told[name])], strict=True):
            np.testing.assert_allclose(answer[: len(text)], text, atol=2e-5, err_msg=name)
    for answer, row, mask in zip(told["ids"], original["ids"], MASK, strict=True):
        real = sum(mask) if isinstance(row[0], list) else len(row)
        np.testing.assert_allclose(answer[:real], row[:real], atol=2e-5, err_msg="ids")
    np.testing.assert_allclose(told["whole"], original["ids"][:1], atol=2e-5, err_msg="whole")
