from __future__ import annotations

import pytest

from autotune.errors import StudyFileError
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec

STUDY = (
    "model: random:bert-base\nproblem: {{batch_size: 8, sequence_length: 128}}\nsearch:\n  knobs: {knobs}\n"
)


def asked(knobs: str) -> object:
    return parse_study(STUDY.format(knobs=knobs), name="x").search.knobs


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("{spinning: [true, false]}", {"spinning": ("on", "off")}),
        ('{spinning: "off"}', {"spinning": ("off",)}),
        (
            "{streams: [1, 3], allocator: [glibc, /a/b.so]}",
            {"streams": ("1", "3"), "allocator": ("glibc", "/a/b.so")},
        ),
        (
            "{blocktime: [0, infinite], openmp: libiomp5}",
            {"blocktime": ("0", "infinite"), "openmp": ("libiomp5",)},
        ),
    ],
)
def test_knobs_are_read_as_yaml_can_write_them(written: str, read: object) -> None:
    assert asked(written) == read


def test_without_a_word_on_knobs_they_are_left_to_the_budget() -> None:
    text = STUDY.partition("search")[0].format()
    assert parse_study(text, name="x").search.knobs == "auto"


def test_a_study_with_knobs_is_stored_and_read_again() -> None:
    spec = parse_study(STUDY.format(knobs="{streams: [1, 2], spinning: false}"), name="x")
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec
    assert StudySpec.model_validate(spec.model_dump()) == spec


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("off", "off is a boolean to some readers"),
        ("false", "false is not allowed: write auto, none, or a mapping from knobs to values"),
        ("[spinning]", "a list is not allowed"),
        ("{}", "a mapping is not allowed"),
        ("{spining: true}", r"search.knobs.spining: 'spining' is not a knob \(did you mean spinning\?\)"),
        ("{spinning: [true, maybe]}", r"search.knobs.spinning\[1\]: 'maybe' is not a value of spinning"),
        ("{streams: 0}", "search.knobs.streams: '0' is not a value of streams"),
        ("{spinning: [true, true]}", "'on' is there twice"),
        ("{spinning: []}", "an empty list is not allowed"),
        ("{blocktime: 0}", "blocktime=0 is read by libiomp5"),
        (
            "{streams: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], allocator: [jemalloc, tcmalloc, mimalloc], "
            "optimization: [all, basic, extended, disabled], spinning: [true, false], "
            "thp: [true, false], pinning: [true, false], matmul_precision: [highest, high]}",
            "2560 combinations are too many: at most 2000",
        ),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(written: str, words: str) -> None:
    with pytest.raises(StudyFileError, match=words) as caught:
        asked(written)
    assert "line 4" in str(caught.value)
