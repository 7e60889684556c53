"""What a model does not take is refused before anything is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autotune.cli.exits import EXIT_CODES
from autotune.errors import ModelError, PlacementError, ResumeError, StudyFileError
from autotune.jobs.preflight import (
    Setup,
    begin_or_resume,
    check_models,
    refuse_misfit,
    set_up,
    survey,
    unsplit,
)
from autotune.model.inputs import InputsDescription
from autotune.model.sources import ResolvedModel, resolve_model
from autotune.search.knobs import Choices, KnobSpace
from autotune.search.space import SearchSpace, build_space
from autotune.spec.configuration import Precision
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec
from autotune.store.store import open_store
from autotune.testing.fake_plans import FakeStudy
from autotune.testing.machines import build_machine


def study(batch_size: int, tokens: int, more: str = "") -> StudySpec:
    problem = f"problem: {{batch_size: {batch_size}, sequence_length: {tokens}}}"
    return parse_study(f"model: onnx:m.onnx\n{problem}\n{more}", name="study")


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
def test_requests_that_an_onnx_file_takes_are_let_through(model: ResolvedModel, spec: StudySpec) -> None:
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
    model: ResolvedModel, spec: StudySpec, words: str, remedy: str
) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        refuse_misfit(model, spec)
    assert remedy in caught.value.remedy


def openvino_space(spec: StudySpec) -> SearchSpace:
    """A space in which batches may be split over streams."""
    knobs: dict[tuple[str, Precision], Choices] = {
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
    assert check_models(cut, {"": model}, tmp_path).problem.longest_in_file == 512


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
            refuse_misfit(model, study_of(model.source, {"batch_size": 1, **problem}))
        assert "at most 64" in caught.value.remedy


def study_of(model: str | list[str], problem: dict[str, Any], **more: Any) -> StudySpec:
    return parse_study(json.dumps({"model": model, "problem": problem, **more}), name="study")


def masked() -> ResolvedModel:
    both = InputsDescription(50, (), 64, {"input_ids": "tokens", "seen": "ones"})
    return ResolvedModel("onnx:masked.onnx", "onnx", "e" * 64, Path("masked.onnx"), inputs=both)


def checked_space(spec: StudySpec, models: dict[str, ResolvedModel]) -> SearchSpace:
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=2, threads_per_core=1)
    return build_space(check_models(spec, models, Path()), machine, {"onnxruntime": ("fp32", "int8-dynamic")})


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


@pytest.fixture
def streaming(own_study: FakeStudy) -> Setup:
    """A study of drawn lengths, set up."""
    problem = {"batch_size": 1, "lengths": {"values": [5, 20]}}
    spec = FakeStudy(own_study.folder, problem=problem).spec
    return set_up(survey(spec), base=own_study.folder, offline=True)


def begin(setup: Setup, folder: Path, **versions: str | None) -> None:
    """Begin the study or go on with it, with other versions than are here; None = one is not known."""
    known = {name: version for name, version in {**setup.versions, **versions}.items() if version}
    with open_store(f"sqlite:///{folder}/autotune.db") as store:
        begin_or_resume(replace(setup, versions=known), store)


def test_a_study_of_requests_that_differ_goes_on_with_the_libraries_that_made_them_alone(
    streaming: Setup, tmp_path: Path
) -> None:
    begin(streaming, tmp_path, tokenizers="0.0.1")
    with pytest.raises(ResumeError, match=r"tokenizers: 0\.0\.1 -> "):
        begin(streaming, tmp_path)


def test_a_study_that_did_not_know_these_libraries_goes_on(streaming: Setup, tmp_path: Path) -> None:
    begin(streaming, tmp_path, tokenizers=None, numpy=None)
    begin(streaming, tmp_path)


IN_CGROUP = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
sys.argv = ["autotune", "tune", "study.yaml", "--dry-run"]
from autotune.cli.main import main
main()
"""


def test_a_model_that_the_memory_limit_does_not_hold_is_refused_before_anything_is_prepared(
    tmp_path: Path, memory_cgroup: Path
) -> None:
    problem = "problem: {batch_size: 1, sequence_length: 8}"
    (tmp_path / "study.yaml").write_text(f"model: random:bert-large\n{problem}\n")
    command = [sys.executable, "-c", IN_CGROUP, str(memory_cgroup)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == EXIT_CODES[PlacementError], ended.stderr
    assert "the baseline" in ended.stderr
    assert "for the weights and activations of one instance" in ended.stderr
    assert "286.1 MiB within the memory limit of the cgroup" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


@pytest.mark.parametrize(("batch_size", "status"), [(32, 0), (64, EXIT_CODES[PlacementError])])
def test_what_requests_take_counts_beside_the_weights(
    tmp_path: Path, memory_cgroup: Path, batch_size: int, status: int
) -> None:
    """Of 32 x 512 tokens MiniLM holds 120 MiB beside 85 MiB of weights, of 64 x 512 tokens 240 MiB."""
    problem = f"problem: {{batch_size: {batch_size}, sequence_length: 512}}"
    (tmp_path / "study.yaml").write_text(f"model: random:minilm-l6\n{problem}\n")
    command = [sys.executable, "-c", IN_CGROUP, str(memory_cgroup)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    assert ("needs 325.2 MiB for the weights and activations of one instance" in ended.stderr) == bool(status)


def test_a_study_says_what_it_leaves_out_for_want_of_memory(tmp_path: Path) -> None:
    spec = study_of("random:minilm-l6", {"batch_size": 1, "sequence_length": 8})
    found = survey(spec)
    model = resolve_model("random:minilm-l6", base=tmp_path, seed=0, offline=True)
    small = replace(found, machine=replace(found.machine, memory_limit_bytes=64 << 20))
    with pytest.raises(PlacementError, match=r"the baseline, .* 64\.0 MiB within the memory limit"):
        small.weighed(spec, {"": model})
    tight = replace(found, machine=replace(found.machine, memory_limit_bytes=100 << 20))
    weighed = tight.weighed(spec, {"": model})
    assert weighed.left_out == found.left_out
    assert len(found.machine.allowed_cores) < 2 or "may run out of memory" in weighed.warnings[0]
