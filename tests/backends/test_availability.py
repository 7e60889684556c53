"""Which engines and precisions a study can search here, and why not the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotune.backends.availability import available_engines, engines_of, require_engine
from autotune.errors import BackendError
from autotune.machine.machine import Machine
from autotune.machine.read import read_machine
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.problem import Problem
from autotune.spec.study import Search, StudySpec


def machine_with(*flags: str) -> Machine:
    return replace(read_machine(), isa=frozenset(flags))


def study(model: str | tuple[str, ...] = "random:bert-base", **search: Any) -> StudySpec:
    problem = Problem(batch_size=1, sequence_length=8)
    return StudySpec(name="s", model=model, problem=problem, scenario="offline", search=Search(**search))


def test_a_real_model_runs_in_every_real_engine() -> None:
    engines, _ = available_engines(study(), machine_with("avx2", "avx512_bf16"))
    assert engines["pytorch"] == ("fp32", "bf16", "int8-dynamic")
    assert engines["onnxruntime"][:1] == ("fp32",)
    assert "int8-dynamic" in engines["onnxruntime"]
    assert "fake" not in engines


def test_a_fake_model_runs_in_the_fake_engine_alone() -> None:
    engines, _ = available_engines(study("fake:model.json"), machine_with())
    assert set(engines) == {"fake"}


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bf16_is_offered_where_the_isa_has_it(flag: str) -> None:
    engines, reasons = available_engines(study(backends=("pytorch",)), machine_with(flag))
    assert "bf16" in engines["pytorch"]
    assert reasons == []


def test_bf16_is_left_out_with_a_reason_where_the_isa_lacks_it() -> None:
    engines, reasons = available_engines(study(backends=("pytorch",)), machine_with("avx2"))
    assert engines["pytorch"] == ("fp32", "int8-dynamic")
    assert len(reasons) == 1
    assert "bf16" in reasons[0]


def test_only_the_precisions_asked_for_are_offered() -> None:
    spec = study(backends=("pytorch", "onnxruntime"), precisions=("int8-dynamic",))
    assert available_engines(spec, machine_with()) == (
        {"pytorch": ("int8-dynamic",), "onnxruntime": ("int8-dynamic",)},
        [],
    )


def test_an_engine_that_is_not_known_is_refused() -> None:
    with pytest.raises(BackendError, match="did you mean onnxruntime"):
        available_engines(study(backends=("onnxruntme",)), machine_with())


@pytest.mark.parametrize(
    ("model", "search"),
    [
        ("random:bert-base", {"backends": ("fake",)}),
        ("fake:model.json", {"backends": ("pytorch",)}),
        ("random:bert-base", {"backends": ("onnxruntime",), "precisions": ("bf16",)}),
    ],
)
def test_a_study_that_no_engine_can_serve_is_refused_with_the_reasons(
    model: str, search: dict[str, Any]
) -> None:
    with pytest.raises(BackendError, match=r"no engine can run .*(real|fake|bf16)"):
        available_engines(study(model, **search), machine_with("avx2"))


@pytest.mark.parametrize(
    ("model", "backend", "precision", "said"),
    [
        ("fake:model.json", "pytorch", "fp32", "cannot run fake:model.json here: .* fake one"),
        ("random:bert-base", "fake", "fp32", "fake models only"),
        ("random:bert-base", "pytorch", "bf16", "does not multiply bf16"),
        ("random:bert-base", "onnxruntme", "fp32", "did you mean onnxruntime"),
    ],
)
def test_an_engine_that_cannot_run_one_configuration_is_refused(
    model: str, backend: str, precision: Precision, said: str
) -> None:
    one = Configuration(1, 1, "close", "0", smt=False, backend=backend, precision=precision)
    with pytest.raises(BackendError, match=said) as caught:
        require_engine(one, study(model), machine_with("avx2"))
    assert caught.value.remedy


def test_of_several_models_each_has_the_engines_that_run_it() -> None:
    spec, machine = study(("random:bert-base", "onnx:m.onnx", "fake:m.json")), machine_with("avx2")
    engines, reasons = available_engines(spec, machine)
    assert {"fake", "pytorch", "onnxruntime"} <= set(engines)
    assert set(engines_of("fake:m.json", engines, spec, machine)) == {"fake"}
    assert not {"fake", "pytorch"} & set(engines_of("onnx:m.onnx", engines, spec, machine))
    assert "fake" not in engines_of("random:bert-base", engines, spec, machine)
    (partly,) = (reason for reason in reasons if reason.startswith("pytorch fp32"))
    assert partly.startswith("pytorch fp32 of onnx:m.onnx: ")


def test_what_no_model_can_have_is_told_once() -> None:
    spec = study(("random:bert-base", "random:minilm-l6"), backends=("pytorch",))
    _, reasons = available_engines(spec, machine_with("avx2"))
    (reason,) = reasons
    assert reason.startswith("pytorch bf16: ")


def test_the_model_that_no_engine_of_the_study_can_serve_is_named() -> None:
    spec = study(("random:bert-base", "onnx:m.onnx"), backends=("pytorch",))
    with pytest.raises(BackendError, match=r"no engine can run onnx:m\.onnx here"):
        available_engines(spec, machine_with("avx2"))


def test_an_engine_is_asked_for_the_model_of_the_configuration() -> None:
    one = Configuration(1, 1, "close", "0", smt=False, backend="pytorch", precision="fp32")
    spec = study(("random:bert-base", "onnx:m.onnx"))
    require_engine(replace(one, model="random:bert-base"), spec, machine_with("avx2"))
    with pytest.raises(BackendError, match=r"pytorch fp32 cannot run onnx:m\.onnx here"):
        require_engine(replace(one, model="onnx:m.onnx"), spec, machine_with("avx2"))


def test_an_engine_that_can_run_a_configuration_is_not() -> None:
    one = Configuration(1, 1, "close", "0", smt=False, backend="pytorch", precision="int8-dynamic")
    require_engine(one, study(), machine_with("avx2"))
