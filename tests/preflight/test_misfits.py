"""What a model does not take is refused before anything is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.backends.availability import Engines
from autotune.errors import ModelError, StudyFileError
from autotune.model.inputs import InputsDescription
from autotune.model.sources import ResolvedModel
from autotune.model.stored_study import StoredStudy, as_stored
from autotune.preflight.misfits import check_models, refuse_misfit, unsplit
from autotune.search.knobs import KnobSpace, KnobValues
from autotune.search.space import SearchSpace, build_space
from autotune.spec.configuration import Precision
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.testing.machines import build_machine


def study(batch_size: int, tokens: int, more: str = "") -> StoredStudy:
    problem = f"problem: {{batch_size: {batch_size}, sequence_length: {tokens}}}"
    return as_stored(parse_study(f"model: onnx:m.onnx\n{problem}\n{more}", name="study"))


def onnx_model(batch_size: int | None = None, tokens: int | None = None) -> ResolvedModel:
    inputs = InputsDescription(
        50, (), 64, {"input_ids": "tokens"}, batch_size=batch_size, sequence_length=tokens
    )
    return ResolvedModel("onnx:m.onnx", "onnx", "d" * 64, Path("m.onnx"), inputs=inputs)


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        (onnx_model(), study(8, 64)),
        (onnx_model(2, 8), study(2, 8)),
        (onnx_model(None, 8), study(4, 8, "scenario: single_stream")),
        (onnx_model(1, 8), study(1, 8, "scenario: single_stream")),
        (onnx_model(2, 8), study(2, 8, "scenario: single_stream\nsearch: {instances: 1}")),
    ],
)
def test_requests_that_an_onnx_file_takes_are_let_through(model: ResolvedModel, spec: StoredStudy) -> None:
    refuse_misfit(model, spec)


@pytest.mark.parametrize(
    ("model", "spec", "words", "remedy"),
    [
        (onnx_model(), study(8, 65), "problem.sequence_length: 65 tokens are more", "at most 64"),
        (onnx_model(2, 8), study(4, 8), "batch_size 4 .* takes 2 alone", "problem.batch_size to 2"),
        (onnx_model(2, 8), study(2, 7), "sequence_length 7 .* takes 8 alone", "problem.sequence_length to 8"),
    ],
)
def test_requests_of_a_shape_that_an_onnx_file_does_not_take_are_refused(
    model: ResolvedModel, spec: StoredStudy, words: str, remedy: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        refuse_misfit(model, spec)
    assert remedy in caught.value.remedy


def openvino_space(spec: StudySpec) -> SearchSpace:
    """A space in which batches may be split over streams."""
    knobs: dict[tuple[str, Precision], KnobValues] = {
        ("openvino", "fp32"): {"pinning": ("off", "on"), "streams": ("1", "2")}
    }
    space = build_space(spec, build_machine(), {"openvino": ("fp32",)})
    return replace(space, knobs=KnobSpace(knobs, ("", "streams=2")))


def test_a_fixed_batch_is_not_split_over_streams() -> None:
    spec = study(2, 8)
    space = openvino_space(spec)
    assert unsplit(space, spec, [onnx_model()]) == space
    fixed = unsplit(space, spec, [onnx_model(), onnx_model(2, 8)])
    assert fixed.knobs.choices == {("openvino", "fp32"): {"pinning": ("off", "on")}}
    listed = study(2, 8, "search: {knobs: {streams: [2]}}")
    with pytest.raises(StudyFileError, match="whole batches alone: they cannot be split") as caught:
        unsplit(space, listed, [onnx_model(2, 8)])
    assert caught.value.path == "search.knobs.streams"


def test_a_fixed_batch_cannot_be_split_over_instances() -> None:
    with pytest.raises(StudyFileError, match="a request cannot be split") as caught:
        refuse_misfit(onnx_model(2, 8), study(2, 8, "scenario: single_stream"))
    assert caught.value.path == "search.instances"
    assert "instances: 1" in caught.value.remedy


def test_a_file_of_lengths_that_a_random_model_does_not_take_is_refused(
    tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "lengths.txt").write_text("3\n513\n")
    spec = study_of("random:bert-base", {"batch_size": 1, "lengths": {"file": "lengths.txt"}})
    model = ResolvedModel("random:bert-base", "random", "5e" * 32, None)
    with pytest.raises(ModelError, match=r"^problem\.lengths\.file: 513 tokens are more") as caught:
        check_models(spec, {"": model}, tmp_path)
    assert "512" in caught.value.remedy
    cut = study_of(
        "random:bert-base", {"batch_size": 1, "lengths": {"file": "lengths.txt"}, "max_length": 512}
    )
    assert check_models(cut, {"": model}, tmp_path).stored.problem.longest_in_file == 512


@pytest.mark.parametrize(
    ("problem", "place"),
    [
        ({"lengths": {"values": [5, 65]}}, "lengths"),
        ({"lengths": {"lognormal": {"median": 24, "sigma": 0.5, "max": 65}}}, "lengths"),
        ({"lengths": {"values": [5]}, "max_length": 65}, "max_length"),
        ({"texts": "texts.txt", "max_length": 65}, "max_length"),
        ({"sequence_length": 65}, "sequence_length"),
    ],
    ids=str,
)
def test_a_request_that_is_too_long_is_refused_by_the_key_that_says_how_long_it_is(
    tmp_path: Path, problem: dict[str, Any], place: str
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    table = {"dtype": "F32", "shape": [64, 0], "data_offsets": [0, 0]}
    header = json.dumps({"embeddings.position_embeddings.weight": table}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    folder = ResolvedModel("path:m", "path", "5e" * 32, tmp_path)
    for model in (onnx_model(), folder):
        with pytest.raises(ModelError, match=rf"^problem\.{place}: 65 tokens are more than") as caught:
            refuse_misfit(model, as_stored(study_of(model.source, {"batch_size": 1, **problem})))
        assert "at most 64" in caught.value.remedy


def study_of(model: str | list[str], problem: dict[str, Any], **more: Any) -> StudySpec:
    return parse_study(json.dumps({"model": model, "problem": problem, **more}), name="study")


def masked() -> ResolvedModel:
    both = InputsDescription(50, (), 64, {"input_ids": "tokens", "seen": "ones"})
    return ResolvedModel("onnx:masked.onnx", "onnx", "e" * 64, Path("masked.onnx"), inputs=both)


def checked_space(spec: StudySpec, models: dict[str, ResolvedModel]) -> SearchSpace:
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=2, threads_per_core=1)
    stored = check_models(spec, models, Path()).stored
    engines: Engines = {"onnxruntime": ("fp32", "int8-dynamic")}
    return build_space(stored, machine, engines, unmasked=stored.unmasked)


DIFFERENT = {"batch_size": 1, "lengths": {"values": [5, 20]}}


def test_nothing_is_filled_up_for_a_model_without_a_mask_not_even_by_the_baseline() -> None:
    found = checked_space(study_of("onnx:m.onnx", DIFFERENT), {"": onnx_model()})
    everything = {found.baseline, *found.configurations, *found.recipes}
    assert {(one.padding, one.batching) for one in everything} == {("none", "arrival")}
    usual = checked_space(study_of("onnx:masked.onnx", DIFFERENT), {"": masked()})
    assert (usual.baseline.padding, usual.baseline.batching) == ("max", "arrival")
    assert len({(one.padding, one.batching) for one in usual.configurations}) > 1


def test_of_several_models_only_those_without_a_mask_are_not_filled_up() -> None:
    names = ["onnx:masked.onnx", "onnx:m.onnx"]
    models = dict(zip(names, (masked(), onnx_model()), strict=True))
    found = checked_space(study_of(names, DIFFERENT), models)
    assert found.baseline.padding == "max"
    ways = {name: {one.padding for one in found.configurations if one.model == name} for name in names}
    assert ways == {"onnx:masked.onnx": {"none", "bucket", "max"}, "onnx:m.onnx": {"none"}}


@pytest.mark.parametrize("search", [{"padding": ["max", "bucket"]}, {"batching": "tokens"}])
def test_bounds_that_a_model_without_a_mask_cannot_keep_are_refused(search: dict[str, Any]) -> None:
    with pytest.raises(StudyFileError, match=r"onnx:m\.onnx has no attention mask") as caught:
        checked_space(study_of("onnx:m.onnx", DIFFERENT, search=search), {"": onnx_model()})
    assert caught.value.path == f"search.{next(iter(search))}"
    assert "padding none with batching arrival" in caught.value.remedy
