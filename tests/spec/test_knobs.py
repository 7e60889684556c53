from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.spec.knobs import (
    answering,
    format_knobs,
    knob_texts,
    legal_fault,
    parse_knobs,
    preparing,
    split_knobs,
)
from autotune.spec.known_knobs import known_knobs

KNOBS = known_knobs()

ANY_KNOBS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(knob.values) for name, knob in KNOBS.items()}
)
LEGAL_KNOBS = ANY_KNOBS.filter(lambda knobs: not legal_fault(knobs))


@given(LEGAL_KNOBS)
def test_what_is_written_is_read_as_it_was_but_for_usual_values(knobs: dict[str, str]) -> None:
    turned = {name: value for name, value in knobs.items() if value != KNOBS[name].usual}
    assert parse_knobs(format_knobs(knobs)) == turned


@given(LEGAL_KNOBS)
def test_equal_knobs_have_one_text(knobs: dict[str, str]) -> None:
    backwards = dict(reversed(knobs.items()))
    assert format_knobs(backwards) == format_knobs(knobs)
    assert format_knobs(parse_knobs(format_knobs(knobs))) == format_knobs(knobs)


def test_names_ascend_and_usual_values_are_left_out() -> None:
    assert format_knobs({"spinning": "off", "allocator": "jemalloc", "streams": "1"}) == (
        "allocator=jemalloc spinning=off"
    )
    assert format_knobs({}) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spinning", "'spinning' is not a knob: write NAME=VALUE"),
        ("spining=off", r"did you mean spinning\?"),
        ("spinning=no", "'no' is not a value of spinning: write on, off"),
        ("streams=0", "'0' is not a value of streams: write 1, 2, 4, a whole number up to 1000"),
        ("streams=01", "'01' is not a value of streams"),
        ("blocktime=2000000", "'2000000' is not a value of blocktime"),
        ("allocator=libjemalloc.so", "a library's absolute path"),
        ("allocator=/a:/b", "'/a:/b' is not a value of allocator"),
        ("spinning=off spinning=on", "spinning is there twice"),
        ("blocktime=0", "blocktime=0 is read by libiomp5, not by libgomp: write openmp=libiomp5 too"),
        ("openmp=libiomp5 wait_policy=active", "wait_policy=active is read by libgomp, not by libiomp5"),
    ],
)
def test_what_is_no_knob_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_knobs(text)


def test_numbers_and_paths_beside_the_usual_values_are_taken() -> None:
    assert parse_knobs("streams=3 allocator=/opt/lib/libjemalloc.so.2") == {
        "streams": "3",
        "allocator": "/opt/lib/libjemalloc.so.2",
    }
    assert parse_knobs("openmp=libiomp5 blocktime=20")["blocktime"] == "20"


def test_every_combination_is_there_once_if_it_is_legal() -> None:
    texts = list(knob_texts({"openmp": ["libiomp5"], "blocktime": ["0"], "wait_policy": ["active"]}))
    assert sorted(texts) == ["", "blocktime=0 openmp=libiomp5", "openmp=libiomp5", "wait_policy=active"]


def test_only_what_changes_answers_is_compared_anew() -> None:
    assert answering("allocator=jemalloc matmul_precision=medium") == "matmul_precision=medium"
    assert answering("spinning=off") == ""


def test_what_changes_the_artifact_changes_the_answers_too() -> None:
    assert preparing("fusion=on matmul_precision=medium") == "fusion=on"
    assert answering("fusion=on spinning=off") == "fusion=on"
    assert preparing("") == ""


def test_a_knob_of_an_engine_that_is_not_here_changes_nothing_that_is_known_here() -> None:
    assert preparing("fusion=on turbo=on") == "fusion=on"
    assert answering("turbo=on") == ""
    assert format_knobs({"turbo": "on", "spinning": "on"}) == "turbo=on"


def test_what_was_checked_before_is_taken_apart_without_asking_what_it_is() -> None:
    assert split_knobs("turbo=on spinning=off") == {"turbo": "on", "spinning": "off"}
    with pytest.raises(ValueError, match="turbo is there twice"):
        split_knobs("turbo=on turbo=off")
