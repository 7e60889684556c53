from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autotune.backends.onnxruntime.backend import OnnxRuntimeBackend
from autotune.errors import StudyFileError, UnsupportedError
from autotune.search.knobs import KnobSpace, knob_space, knob_statuses, require_knobs
from autotune.spec.configuration import Configuration, Precision
from autotune.spec.known_knobs import known_knobs

ENGINES: dict[str, tuple[Precision, ...]] = {
    "fake": ("fp32", "int8-dynamic"),
    "onnxruntime": ("fp32", "int8-static"),
}
ONE = Configuration(1, 2, "close", "0", smt=False, backend="onnxruntime", precision="fp32")
NO_ISA: frozenset[str] = frozenset()


def everything(knob: str, value: str) -> Path | None:
    return Path("/lib/any.so")


def nothing(knob: str, value: str) -> Path | None:
    return None


def turns(space: KnobSpace, one: Configuration = ONE, batch: int = 8) -> list[dict[str, str]]:
    return [dict(knobs) for knobs in space.turns(one, batch)]


def test_auto_turns_every_knob_of_an_engine_that_can_be_had() -> None:
    space, _ = knob_space("auto", ENGINES, NO_ISA, everything)
    own = {name for name, knob in known_knobs().items() if knob in OnnxRuntimeBackend.knobs}
    choices = space.choices["onnxruntime", "fp32"]
    assert choices.keys() == {"allocator", *own}
    assert choices["allocator"] == ("glibc", "jemalloc", "tcmalloc", "mimalloc")
    assert (choices["fusion"], choices["spinning"]) == (("off", "on"), ("on", "off"))


def test_a_knob_is_left_out_at_precisions_that_it_would_undo() -> None:
    space, _ = knob_space("auto", ENGINES, NO_ISA, everything)
    assert {"allocator", "spinning"} <= space.choices["onnxruntime", "int8-static"].keys()
    assert not {"fusion", "optimization"} & space.choices["onnxruntime", "int8-static"].keys()


def test_what_is_not_installed_is_left_out_with_the_command() -> None:
    space, reasons = knob_space("auto", ENGINES, NO_ISA, nothing)
    assert set(space.choices["fake", "fp32"]) == {"optimization", "spinning"}
    assert (
        "allocator jemalloc: jemalloc (libjemalloc.so.2) is not on this host: apt-get install libjemalloc2"
        in reasons
    )


def test_the_parameters_values_do_not_hang_on_what_is_installed() -> None:
    with_all, _ = knob_space("auto", ENGINES, NO_ISA, everything)
    without, _ = knob_space("auto", ENGINES, NO_ISA, nothing)
    assert with_all.texts == without.texts
    assert "allocator=jemalloc optimization=basic spinning=off" in with_all.texts


def test_a_study_without_a_second_stage_has_one_value() -> None:
    space, reasons = knob_space("none", ENGINES, NO_ISA, everything)
    assert (space.texts, reasons, turns(space)) == (("",), (), [])


def test_a_study_turns_what_it_lists() -> None:
    space, _ = knob_space({"spinning": ("off",)}, ENGINES, NO_ISA, nothing)
    assert space.texts == ("", "spinning=off")
    assert turns(space) == [{"spinning": "off"}]


@pytest.mark.parametrize(
    ("asked", "words", "remedy"),
    [
        (
            {"allocator": ("glibc", "mimalloc")},
            r"search.knobs.allocator\[1\]: mimalloc cannot be had here: .*apt-get install libmimalloc2.0",
            "leave it out",
        ),
        ({"allocator": ("/nowhere.so",)}, r"/nowhere.so is not on this host", "leave it out"),
        (
            {"pinning": ("on",)},
            "search.knobs.pinning: no engine of this study reads pinning",
            "leave it out, or search what reads it: openvino",
        ),
    ],
)
def test_what_a_study_lists_and_cannot_be_had_is_refused(
    asked: dict[str, tuple[str, ...]], words: str, remedy: str
) -> None:
    with pytest.raises(StudyFileError, match=words) as caught:
        knob_space(asked, ENGINES, NO_ISA, nothing)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("precision", "knobs", "words", "remedy"),
    [
        (
            "int8-static",
            "optimization=disabled",
            "onnxruntime int8-static does not read optimization",
            "onnxruntime (fp32, int8-dynamic)",
        ),
        ("fp32", "openmp=libiomp5", "onnxruntime fp32 does not read openmp", "pytorch"),
        (
            "fp32",
            "allocator=mimalloc",
            "allocator=mimalloc cannot be had here: .*apt-get install",
            "leave it",
        ),
    ],
)
def test_a_configuration_with_a_knob_that_does_nothing_here_is_refused(
    precision: Precision, knobs: str, words: str, remedy: str
) -> None:
    one = replace(ONE, precision=precision, knobs=knobs)
    with pytest.raises(UnsupportedError, match=words) as caught:
        require_knobs(one, "path", NO_ISA, nothing)
    assert remedy in caught.value.remedy


def test_a_configuration_with_knobs_that_are_read_and_can_be_had_is_let_through() -> None:
    for knobs in ("allocator=mimalloc optimization=basic spinning=off", "fusion=on"):
        require_knobs(replace(ONE, knobs=knobs), "path", NO_ISA, everything)


ONNX_FILE = frozenset({"onnx"})


def test_what_is_turned_in_preparation_hangs_on_the_kind_of_model() -> None:
    either, _ = knob_space("auto", ENGINES, NO_ISA, nothing, kinds=frozenset({"path", "onnx"}))
    assert either.choices["onnxruntime", "fp32"]["fusion"] == ("off", "on")
    as_it_is, _ = knob_space("auto", ENGINES, NO_ISA, nothing, kinds=ONNX_FILE)
    assert {*either.choices["onnxruntime", "fp32"]} - {*as_it_is.choices["onnxruntime", "fp32"]} == {"fusion"}
    words = r"search.knobs.fusion: no engine of this study reads fusion for onnx: models"
    with pytest.raises(StudyFileError, match=words):
        knob_space({"fusion": ("on",)}, ENGINES, NO_ISA, nothing, kinds=ONNX_FILE)
    with pytest.raises(UnsupportedError, match="onnxruntime fp32 does not read fusion for onnx: models"):
        require_knobs(replace(ONE, knobs="fusion=on"), "onnx", NO_ISA, nothing)
    of_several = [replace(ONE, model=source) for source in ("path:a", "onnx:b.onnx")]
    assert [{"fusion": "on"} in turns(either, one) for one in of_several] == [True, False]


def test_one_thread_has_nobody_to_wait_for() -> None:
    space, _ = knob_space({"spinning": ("off",)}, ENGINES, NO_ISA, nothing)
    alone = Configuration(2, 1, "close", "0", smt=False, backend="onnxruntime", precision="fp32")
    assert turns(space, alone) == []


def test_a_batch_is_not_split_into_more_streams_than_it_has_sequences_or_threads() -> None:
    pytest.importorskip("openvino")
    space, _ = knob_space({"streams": ("2", "4")}, {"openvino": ("fp32",)}, NO_ISA, nothing)
    four = Configuration(1, 4, "close", "0", smt=False, backend="openvino", precision="fp32")
    assert turns(space, four) == [{"streams": "2"}, {"streams": "4"}]
    assert turns(space, four, batch=3) == [{"streams": "2"}]
    assert turns(space, Configuration(1, 2, "close", "0", False, "openvino", "fp32")) == [{"streams": "2"}]


def test_exactness_is_offered_where_the_cpu_gains_by_it() -> None:
    engines: dict[str, tuple[Precision, ...]] = {"pytorch": ("fp32", "int8-dynamic")}
    plain, reasons = knob_space("auto", engines, NO_ISA, nothing)
    assert "matmul_precision" not in plain.choices["pytorch", "fp32"]
    assert any("does not multiply bf16" in reason for reason in reasons)
    fast, _ = knob_space("auto", engines, frozenset({"avx512_bf16"}), nothing)
    assert fast.choices["pytorch", "fp32"]["matmul_precision"] == ("highest", "medium")
    assert "matmul_precision" not in fast.choices["pytorch", "int8-dynamic"]


def test_a_knob_that_is_taken_out_is_not_turned_and_the_parameters_values_stay() -> None:
    space, _ = knob_space({"spinning": ("off",), "optimization": ("basic",)}, ENGINES, NO_ISA, nothing)
    without = space.without("spinning")
    assert turns(without) == [{"optimization": "basic"}]
    assert without.texts == space.texts


def test_every_knob_has_a_status_with_its_engines() -> None:
    statuses = {one.name: one for one in knob_statuses(NO_ISA, nothing)}
    assert statuses["allocator"].values == ("glibc",)
    assert statuses["allocator"].refused["tcmalloc"].endswith("apt-get install libtcmalloc-minimal4")
    assert {"pytorch", "onnxruntime", "fake"} <= set(statuses["allocator"].engines)
    assert "onnxruntime" in statuses["spinning"].engines
    assert "pytorch" not in statuses["spinning"].engines
    assert "pytorch" in statuses["wait_policy"].engines
