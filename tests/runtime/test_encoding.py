"""`sentence_transformer()` answers as sentence-transformers does, text by text."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

PlanFile = Callable[..., Path]

TEXTS = [
    "A good day.",
    "The weather is fine today, and nobody complains. " * 12,
    "Quantised?",
    "",
    "A good day.",
]

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("encode", {}),
    ("encode", {"normalize_embeddings": True, "truncate_dim": 100, "batch_size": 2}),
    ("encode", {"prompt": "query: "}),
    ("encode", {"prompt_name": "passage"}),
    ("encode", {"prompt": "", "show_progress_bar": False}),
    ("encode_query", {}),
    ("encode_document", {}),
    ("encode_document", {"prompt_name": "passage"}),
]

ENCODE = """
import json, sys
encoder = {make}
texts, calls = json.loads(sys.argv[2]), json.loads(sys.argv[3])
answers = [getattr(encoder, name)(texts, **options).tolist() for name, options in calls]
tensors = encoder.encode(texts[:2], convert_to_tensor=True)
each = encoder.encode(texts[:2], convert_to_numpy=False)
print(json.dumps({{
    "answers": answers, "single": encoder.encode(texts[0]).tolist(), "empty": encoder.encode([]).shape,
    "mappings": [encoder.encode({{"text": texts[0]}}).shape, encoder.encode([{{"text": texts[0]}}]).shape],
    "tensors": [str(tensors.dtype), list(tensors.shape)], "each": [type(each).__name__, list(each[0].shape)],
    "width": encoder.get_embedding_dimension(), "cut": encoder.max_seq_length,
    "prompts": encoder.prompts, "default": encoder.default_prompt_name,
}}))
"""
OURS = ENCODE.format(make="__import__('autotune.runtime').runtime.sentence_transformer()")
LIBRARY = "__import__('sentence_transformers').SentenceTransformer"
THEIRS = ENCODE.format(make=f"{LIBRARY}(sys.argv[1], device='cpu', local_files_only=True)")


@pytest.fixture
def folder(minilm: Path, tmp_path: Path) -> Path:
    """A real model's folder, with prompts."""
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    own = tmp_path / "minilm"
    shutil.copytree(minilm, own)
    prompts = {"prompts": {"passage": "passage: ", "query": "ask: "}, "default_prompt_name": "passage"}
    file = own / "config_sentence_transformers.json"
    stated = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**stated, **prompts}))
    return own


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "problem"),
    [
        ("pytorch", {"batch_size": 2, "sequence_length": 16}),
        ("onnxruntime", {"batch_size": 3, "texts": "texts.txt", "include": "tokenization"}),
    ],
)
def test_it_answers_as_the_library_does(
    plan_file: PlanFile,
    in_process: Callable[..., Any],
    folder: Path,
    tmp_path: Path,
    backend: str,
    problem: dict[str, Any],
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(text for text in TEXTS * 20 if text))
    stream = {"padding": "none", "batching": "tokens"} if "texts" in problem else {}
    plan = plan_file(folder, problem, backend=backend, **stream)
    words = str(folder), json.dumps(TEXTS), json.dumps(CALLS)
    ours, theirs = in_process(plan, OURS, *words), in_process(plan, THEIRS, *words, launched=False)
    for call, mine, expected in zip(CALLS, ours.pop("answers"), theirs.pop("answers"), strict=True):
        np.testing.assert_allclose(mine, expected, atol=2e-5, err_msg=str(call))
    np.testing.assert_allclose(ours.pop("single"), theirs.pop("single"), atol=2e-5)
    assert ours == theirs


REFUSED = """
import json
import sys
import autotune.runtime
from autotune.errors import AutotuneError
encoder = autotune.runtime.sentence_transformer(sys.argv[1])
said = []
def refused(call, *given, **options):
    try:
        call(*given, **options)
    except AutotuneError as error:
        said.append(str(error))
for options in (
    {"output_value": "token_embeddings"}, {"precision": "int8"}, {"prompt_name": "nobody"}, {"task": "x"},
):
    refused(encoder.encode, "a", **options)
for size in (0, -1, None, 1.5, True):
    refused(encoder.encode, "a", batch_size=size)
for given in (None, 5, {}, {"image": "a"}, {"text": 5}, [None]):
    refused(encoder.encode, given)
for given in (5, {}, [sys.argv[1]]):
    refused(autotune.runtime.sentence_transformer, given)
    refused(autotune.runtime.pipeline, "feature-extraction", given)
for make in (autotune.runtime.sentence_transformer, lambda plan: autotune.runtime.pipeline("x", plan)):
    refused(make, "/nowhere/plan.json")
assert encoder.encode({"text": "a"}).tolist() == encoder.encode("a").tolist()
assert encoder.encode([{"text": "a"}], batch_size=1).shape == (1, encoder.get_embedding_dimension())
print(json.dumps(said))
"""


def test_what_was_not_measured_is_refused(
    plan_file: PlanFile, in_process: Callable[..., Any], minilm: Path
) -> None:
    plan = plan_file(minilm, {"batch_size": 1, "sequence_length": 8})
    values, precision, prompt, task, *others = in_process(plan, REFUSED, str(plan))
    sizes, texts, sessions, plans = others[:5], others[5:11], others[11:17], others[17:]
    assert all("is no number of texts" in said for said in sizes)
    assert all("is no list of texts" in said or "is not a text" in said for said in texts)
    assert all("is neither a session nor a plan" in said for said in sessions)
    assert len(plans) == 2
    assert all("/nowhere/plan.json cannot be read" in said for said in plans)
    assert "output_value='token_embeddings'" in values
    assert "precision='int8'" in precision
    assert "'nobody' is no prompt of the model" in prompt
    assert "task='x'" in task


NOT_FOR_IT = """
import json
import autotune.runtime
from autotune.errors import ServingError
session = autotune.runtime.load()
said = []
for make in (
    autotune.runtime.sentence_transformer,
    lambda session: autotune.runtime.pipeline("text-classification", session),
    lambda session: autotune.runtime.pipeline("translation", session),
):
    try:
        make(session)
    except ServingError as error:
        said.append(str(error))
print(json.dumps(said))
"""


def test_a_plan_of_another_model_is_refused(plan_file: PlanFile, in_process: Callable[..., Any]) -> None:
    embeddings, labels, task = in_process(plan_file("encoder"), NOT_FOR_IT)
    assert "serves no sentence embeddings" in embeddings
    assert "BertModel: it classifies no texts" in labels
    assert "'translation' is no task here" in task
