from __future__ import annotations

import pytest

from autotune.spec.knob import Knob


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("model", ("off", "on"), "no knob can be called 'model'"),
        ("Loud", ("off", "on"), "no knob can be called 'Loud'"),
        ("loud", ("on",), "needs two different values at least"),
        ("loud", ("on", "on"), "needs two different values at least"),
        ("loud", ("off", "very much"), "'very much' can be no value of the knob loud: write one word"),
        ("loud", ("off", "a=b"), "'a=b' can be no value"),
    ],
)
def test_what_no_configuration_could_write_is_no_knob(name: str, values: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Knob(name, values, "how loud it is")


def test_a_knob_that_splits_batches_has_numbers_of_parts_alone() -> None:
    with pytest.raises(ValueError, match="'auto' is no number of parts, as the knob parts needs them"):
        Knob("parts", ("1", "auto"), "into how many parts", splits=True)


def test_what_prepares_changes_answers_too() -> None:
    assert Knob("a", ("off", "on"), "", prepares=True).changes_answers
    assert Knob("a", ("off", "on"), "", answers=True).changes_answers
    assert not Knob("a", ("off", "on"), "").changes_answers


def test_a_value_matters_where_threads_or_sequences_are_enough_for_it() -> None:
    parts = Knob("parts", ("1", "2", "4"), "", splits=True)
    assert [parts.matters("4", threads, 8) for threads in (2, 4)] == [False, True]
    assert [parts.matters("4", 4, batch) for batch in (3, 4)] == [False, True]
    waiting = Knob("waiting", ("off", "on"), "", waits=True)
    assert [waiting.matters("on", threads, 8) for threads in (1, 2)] == [False, True]
    assert Knob("plain", ("off", "on"), "").matters("on", 1, 1)
