"""Every kind of model says what can be done with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autotune.backends.registry import get_backend
from autotune.errors import ModelError
from autotune.model.sources import resolve_model
from autotune.spec.model_kind import MODEL_KINDS, MODULE_KINDS, OWN_ENGINES, ModelKind
from autotune.spec.model_source import FORMS, model_fault, model_kind

EXAMPLES = {
    "random": "random:bert-base",
    "path": "path:models/mine",
    "hf": "hf:org/name@main",
    "onnx": "onnx:mine.onnx",
    "fake": "fake:mine.json",
}
of_every_kind = pytest.mark.parametrize("kind", MODEL_KINDS.values(), ids=[*MODEL_KINDS])


@of_every_kind
def test_what_a_kind_says_agrees(kind: ModelKind) -> None:
    assert [kind.is_module, kind.is_graph, kind.is_formula].count(True) == 1
    assert kind.has_reference != kind.is_formula
    assert kind.form.startswith(f"{kind.name}:")
    assert kind.form in FORMS
    assert re.fullmatch(kind.pattern, EXAMPLES[kind.name].partition(":")[2])
    assert model_fault(EXAMPLES[kind.name]) is None
    assert model_kind(EXAMPLES[kind.name]) is kind
    assert not kind.may_hold_more or kind.has_head
    assert (kind.usual_engine in OWN_ENGINES) == kind.has_own_engine
    assert (kind.name in MODULE_KINDS) == kind.is_module


@of_every_kind
def test_what_runs_a_kind_out_of_the_box_runs_it_at_fp32(kind: ModelKind) -> None:
    assert get_backend(kind.usual_engine).unsupported("fp32", frozenset(), kind.name) is None


@of_every_kind
def test_every_kind_is_looked_for_on_this_machine(kind: ModelKind, tmp_path: Path, own_cache: Path) -> None:
    if kind.has_files:
        with pytest.raises(ModelError, match=r"mine|org/name"):
            resolve_model(EXAMPLES[kind.name], base=tmp_path, seed=0, offline=True)
    else:
        found = resolve_model(EXAMPLES[kind.name], base=tmp_path, seed=0, offline=True)
        assert (found.path, found.traits) == (None, kind)


@pytest.mark.parametrize("source", ["tar:model.tar", "bert-base", ""])
def test_a_source_of_no_kind_is_refused_with_those_that_there_are(source: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a model source") as caught:
        model_kind(source)
    assert caught.value.remedy == f"write {FORMS}"
    with pytest.raises(ModelError, match="is not a model source"):
        resolve_model(source, base=tmp_path, seed=0, offline=True)
