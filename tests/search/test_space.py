"""The search space holds every legal configuration once, under names that a user knows, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from autotune.errors import StudyFileError
from autotune.machine.machine import Machine
from autotune.placement.place import place
from autotune.search.space import SearchSpace, build_space
from autotune.spec.configuration import Precision
from autotune.spec.load import parse_study
from autotune.testing.machines import build_machine

ENGINES: Mapping[str, tuple[Precision, ...]] = {
    "pytorch": ("fp32", "bf16", "int8-dynamic"),
    "onnxruntime": ("fp32", "int8-dynamic"),
}
TWO_SOCKETS = build_machine(packages=2, nodes_per_package=2, cores_per_node=2, threads_per_core=2)
LARGE = build_machine(packages=2, nodes_per_package=1, cores_per_node=24, threads_per_core=2)


def space(
    machine: Machine,
    search: str = "{}",
    *,
    more: str = "",
    engines: Mapping[str, tuple[Precision, ...]] = ENGINES,
) -> SearchSpace:
    text = (
        f"model: random:minilm-l6\nproblem: {{batch_size: 8, sequence_length: 128}}\nsearch: {search}\n{more}"
    )
    return build_space(parse_study(text, name="study"), machine, engines)


@pytest.mark.parametrize(
    "machine",
    [
        TWO_SOCKETS,
        LARGE,
        build_machine(packages=1, nodes_per_package=1, cores_per_node=2, threads_per_core=1),
        build_machine(packages=2, cores_per_node=3, quota_cpus=5.5),
        build_machine(packages=2, cores_per_node=3, allowed=[0, 1, 5, 7]),
        build_machine(packages=1, nodes_per_package=1, cores_per_node=4, efficiency_cores_per_node=4),
    ],
    ids=["two sockets", "large", "two cores", "quota", "restricted", "hybrid"],
)
def test_every_configuration_is_legal_and_has_the_placement_that_it_would_get(machine: Machine) -> None:
    found = space(machine, "{smt: [false, true]}")
    assert found.configurations
    assert set(found.placements) == set(found.configurations)
    for configuration in found.configurations:
        assert found.placements[configuration] == place(configuration, machine)
        assert configuration.instances * configuration.threads_per_instance <= machine.thread_budget
    assert len(set(found.configurations)) == len(found.configurations)
    assert set(found.recipes) <= set(found.configurations)
    assert found.baseline not in found.configurations


def test_equal_placements_under_several_names_are_there_once() -> None:
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=2, threads_per_core=1)
    found = space(machine)
    layouts = {(one.instances, one.threads_per_instance, one.placement) for one in found.configurations}
    assert layouts == {(1, 1, "close"), (1, 2, "close"), (2, 1, "close")}
    assert len(found.configurations) == 3 * 5
    assert found.size_before_symmetry == 3 * 4 * 5


def test_one_instance_on_either_of_two_equal_sockets_is_one_configuration() -> None:
    found = space(TWO_SOCKETS, "{instances: [1], threads: [4], precisions: [fp32], backends: [pytorch]}")
    assert [one.sockets for one in found.configurations] == ["0"]
    assert found.size_before_symmetry > 1


def test_sockets_that_differ_are_not_taken_for_equal() -> None:
    whole = build_machine(packages=2, nodes_per_package=1, cores_per_node=4, threads_per_core=1)
    lopsided = build_machine(
        packages=2, nodes_per_package=1, cores_per_node=4, threads_per_core=1, allowed=[0, 1, 2, 4, 5, 6, 7]
    )
    bounds = "{instances: [1], threads: [2], precisions: [fp32], backends: [pytorch], sockets: [0, 1]}"
    assert len(space(whole, bounds).configurations) == 1
    assert len(space(lopsided, bounds).configurations) == 2


def test_spreading_over_nodes_differs_from_filling_one() -> None:
    found = space(TWO_SOCKETS, "{instances: [2], threads: [1], precisions: [fp32], backends: [pytorch]}")
    assert {one.placement for one in found.configurations} >= {"close", "spread"}


def test_small_machines_are_searched_exhaustively_and_large_ones_by_what_fills_them() -> None:
    small = {(one.instances, one.threads_per_instance) for one in space(TWO_SOCKETS).configurations}
    assert small == {(n, t) for t in range(1, 9) for n in range(1, 9) if fits(n, t)}
    large = {one.threads_per_instance for one in space(LARGE).configurations}
    assert {1, 2, 4, 8, 12, 24, 48} <= large
    assert not large & {5, 7, 11, 13, 17, 23}


def fits(instances: int, threads: int) -> bool:
    """On two sockets of two nodes of two cores: whole sockets, where a node is too small."""
    per_socket = {1: 4, 2: 2, 3: 1, 4: 1}
    return instances <= 2 * per_socket[threads] if threads in per_socket else instances == 1


def test_the_known_recipes_are_there_for_every_engine_at_its_cheapest_precision() -> None:
    shapes = {
        (one.instances, one.threads_per_instance, one.backend, one.precision) for one in space(LARGE).recipes
    }
    for backend in ENGINES:
        for shape in ((2, 24), (12, 4), (48, 1)):
            assert (*shape, backend, "int8-dynamic") in shapes


MANY: Mapping[str, tuple[Precision, ...]] = {
    "ctranslate2": ("fp32", "int8-dynamic"),
    "jax": ("fp32",),
    "new-engine": ("fp32", "bf16"),
    "onnxruntime": ("fp32", "int8-dynamic"),
    "openvino": ("fp32", "int8-static", "int8-weights", "int4-weights"),
    "pytorch": ("fp32", "int8-dynamic"),
    "torchscript": ("fp32",),
}


def test_without_a_look_the_lower_precisions_come_first_and_each_engines_layouts_together() -> None:
    found = space(LARGE, engines=MANY).recipes
    assert [(one.backend, one.precision) for one in found[:9]] == [
        *[("ctranslate2", "int8-dynamic")] * 3,
        *[("onnxruntime", "int8-dynamic")] * 3,
        *[("pytorch", "int8-dynamic")] * 3,
    ]
    shapes = [(one.instances, one.threads_per_instance) for one in found[:9]]
    assert shapes == [(2, 24), (12, 4), (48, 1)] * 3


def test_every_other_engine_is_looked_at_once_in_the_first_layout_those_that_nobody_knows_too() -> None:
    others = space(LARGE, engines=MANY).recipes[9:]
    assert {one.backend for one in others} == {"openvino", "new-engine", "torchscript", "jax"}
    assert len(others) == 4
    assert {(one.instances, one.threads_per_instance) for one in others} == {(2, 24)}


def test_the_order_in_which_engines_are_registered_changes_nothing() -> None:
    backwards = {name: MANY[name] for name in sorted(MANY, reverse=True)}
    assert space(LARGE, engines=backwards).recipes == space(LARGE, engines=MANY).recipes


def test_where_nothing_was_looked_at_no_engine_is_expected_to_be_faster_than_another() -> None:
    expected = space(LARGE, engines=MANY).expected
    assert len(expected) == sum(map(len, MANY.values()))
    for precision in ("fp32", "int8-dynamic"):
        speeds = {found for pair, found in expected.items() if pair.precision == precision}
        assert len(speeds) == 1


def test_the_baseline_is_one_unpinned_instance_of_pytorch_at_fp32_even_where_it_is_not_searched() -> None:
    baseline = space(LARGE, "{backends: [onnxruntime]}", engines={"onnxruntime": ("fp32",)}).baseline
    assert baseline.parameters() == {
        "instances": 1,
        "threads_per_instance": 0,
        "placement": "unpinned",
        "sockets": "0-1",
        "smt": False,
        "backend": "pytorch",
        "precision": "fp32",
        **dict.fromkeys(("model", "padding", "batching", "knobs"), ""),
        "cores": 0,
    }


def test_the_baseline_of_an_onnx_file_is_onnx_runtime() -> None:
    study = "model: onnx:m.onnx\nproblem: {batch_size: 8, sequence_length: 128}"
    engines: Mapping[str, tuple[Precision, ...]] = {"openvino": ("fp32",)}
    baseline = build_space(parse_study(study, name="study"), LARGE, engines).baseline
    assert (baseline.backend, baseline.precision, baseline.placement) == ("onnxruntime", "fp32", "unpinned")
    assert (baseline.instances, baseline.threads_per_instance) == (1, 0)


def test_a_single_stream_has_no_more_instances_than_its_requests_have_sequences() -> None:
    found = space(LARGE, more="scenario: single_stream")
    assert max(one.instances for one in found.configurations) == 8


@pytest.mark.parametrize(
    ("search", "more", "path", "words"),
    [
        ("{instances: [1, 99]}", "", "search.instances[1]", "99"),
        ("{threads: [64]}", "", "search.threads[0]", "64"),
        ("{sockets: [0, 9]}", "", "search.sockets[1]", "not on this machine"),
        ("{backends: [pytorch, other]}", "", "search.backends[1]", "'other'"),
        ("{instances: [16]}", "scenario: offline\nlimits: {memory: 1GiB}", "search.instances[0]", "16"),
    ],
)
def test_a_listed_value_that_can_never_be_legal_is_refused_with_its_path(
    search: str, more: str, path: str, words: str
) -> None:
    with pytest.raises(StudyFileError) as refused:
        space(TWO_SOCKETS, search, more=more)
    assert refused.value.path == path
    assert words in refused.value.problem
    assert refused.value.remedy


def test_smt_asked_for_in_vain_is_refused_but_trying_both_goes_without() -> None:
    machine = build_machine(packages=1, nodes_per_package=1, cores_per_node=2, threads_per_core=1)
    with pytest.raises(StudyFileError, match="SMT"):
        space(machine, "{smt: true}")
    assert not any(one.smt for one in space(machine, "{smt: [false, true]}").configurations)


def test_the_full_space_of_the_largest_machine_is_placed_and_holds_its_extremes() -> None:
    machine = build_machine(packages=8, nodes_per_package=1, cores_per_node=64, threads_per_core=2)
    found = space(machine, "{smt: [false, true]}")
    shapes: set[tuple[Any, ...]] = {
        (one.instances, one.threads_per_instance, one.smt) for one in found.configurations
    }
    assert {(512, 1, False), (8, 64, False), (1, 512, False), (8, 128, True), (128, 4, False)} <= shapes
    assert found.size_before_symmetry > len(found.configurations)


VARIANTS = "model: [random:bert-base, random:minilm-l6, fake:m.json]\n"
BERT, MINILM, FAKE = "random:bert-base", "random:minilm-l6", "fake:m.json"


def space_of_variants(sizes: Mapping[str, float] | None = None) -> SearchSpace:
    """Of three models, one of which has an engine of its own."""
    text = f"{VARIANTS}problem: {{batch_size: 8, sequence_length: 128}}"
    engines: Mapping[str, tuple[Precision, ...]] = {**ENGINES, "fake": ("fp32",)}
    by_variant = {BERT: ENGINES, MINILM: ENGINES, FAKE: {"fake": engines["fake"]}}
    spec = parse_study(text, name="study")
    return build_space(spec, LARGE, engines, by_variant=by_variant, sizes=sizes)


def test_every_variant_is_there_with_the_engines_that_run_it() -> None:
    found = space_of_variants()
    engines = {(one.model, one.backend) for one in found.configurations}
    assert engines == {(model, name) for model in (BERT, MINILM) for name in ENGINES} | {(FAKE, "fake")}
    layouts = {one.prepared: 0 for one in found.configurations}
    assert len(found.configurations) % len(layouts) == 0, "each of them in every layout"


def test_the_baseline_is_of_the_first_variant() -> None:
    assert (space_of_variants().baseline.model, space_of_variants().baseline.backend) == (BERT, "pytorch")


def test_the_smallest_variant_comes_first_and_every_other_at_its_fastest() -> None:
    found = space_of_variants({BERT: 8.0, MINILM: 1.0}).recipes
    assert [(one.model, one.backend, one.precision) for one in found[:3]] == [
        (MINILM, "onnxruntime", "int8-dynamic")
    ] * 3
    others = [(one.model, one.backend, one.precision) for one in found if one.model != MINILM]
    assert others == [(BERT, "onnxruntime", "int8-dynamic")] * 3 + [(FAKE, "fake", "fp32")] * 3


def test_variants_of_unknown_size_come_in_the_order_of_the_list() -> None:
    found = space_of_variants().recipes
    assert [one.model for one in found[:6]] == [BERT] * 6
