from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import StudyFileError
from autotune.spec.reading import MAX_DEPTH, read_document


def data(text: str) -> Any:
    return read_document(text, file="f").data


def refusal(text: str) -> StudyFileError:
    with pytest.raises(StudyFileError) as caught:
        data(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("3.5", 3.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'3'", "3"),
        ('"true"', "true"),
        ("'no'", "no"),
        ("''", ""),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0x1f", "0x1f"),
        ("0-1", "0-1"),
        ("50ms", "50ms"),
        ("nope", "nope"),
        ("=", "="),
    ],
)
def test_a_value_means_what_yaml_1_2_says(text: str, value: object) -> None:
    read = data(f"a: {text}")["a"]
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "y", "n", "Yes", "NO", "Off"])
def test_a_word_that_some_readers_take_for_a_boolean_is_refused(word: str) -> None:
    error = refusal(f"a: {word}")
    assert error.path == "a"
    assert f"{word} is a boolean to some readers" in error.problem
    assert "quote it" in error.problem


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ("a: 010", "a", "write 10"),
        ("a: 00", "a", "write 0"),
        ("a: -010", "a", "write -10"),
        ("a: 1" + "0" * 18, "a", "too large"),
        ("a: " + "9" * 5000, "a", "too many"),
        ("a: !!python/object/apply:os.system [ls]", "a", "YAML tag"),
        ("a: !!str 3", "a", "YAML tag"),
        ("a: ! x", "a", "YAML tag"),
        ("!!map {a: 1}", "", "YAML tag"),
        ("!!str a: 1", "", "YAML tag"),
        ("a: &x 1", "a", "&x is an anchor"),
        ("a: 1\na: 2", "a", "twice, first on line 1"),
        ("a: {b: 1, b: 1}", "a.b", "twice, first on line 1"),
        ("a: [{b: 1, b: 2}]", "a[0].b", "twice, first on line 1"),
        ("a: 1\n'a': 2", "a", "twice, first on line 1"),
        ("a: 1\n---\nb: 2", "", "second document"),
        ("[a]: 1", "", "single word"),
        ("? {a: 1}\n: 2", "", "single word"),
        ('a: "x\\ny"', "a", "control characters"),
        ("a: |\n  x\n  y\n", "a", "control characters or line breaks"),
        ('a: "\\e[31m"', "a", "control characters"),
        ('a: "\\uD800"', "a", "control characters"),
        ('"\\e": 1', "", "is no key"),
        ("a: " + "x" * 5000, "a", "5000 characters"),
        ("x" * 200 + ": 1", "", "is no key"),
        ("a: b: c", "", "quotes around"),
        ("a: [1, 2", "", "not YAML"),
        ("a: \t1\n\tb: 2", "", "not YAML"),
        ('a: "\\UFFFFFFFF"', "", "does not exist"),
        ('a: "\\U00110000"', "", "does not exist"),
        ("a: \x07", "", "#x0007"),
        ("%YAML 2.0\n---\na: 1", "", "not YAML"),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_could_surprise_is_refused(text: str, path: str, told: str) -> None:
    error = refusal(text)
    assert error.path == path
    assert told in error.problem


def test_references_are_refused_where_they_stand() -> None:
    error = refusal("a: &x [1]\nb: *x\nc: {<<: *x}\n")
    assert "line 1: a: &x is an anchor" in error.problem
    assert "line 2: b: *x repeats a value" in error.problem
    assert "line 3: c.<<: *x repeats a value" in error.problem


def test_a_bomb_of_references_is_refused_without_being_expanded() -> None:
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 60)]
    assert "anchor" in refusal("\n".join(["a0: &a0 lol", *levels])).problem


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[{a: "])
def test_deep_nesting_is_refused(opening: str) -> None:
    assert f"at most {MAX_DEPTH} levels" in refusal(opening * 100_000).problem


def test_too_many_values_are_refused() -> None:
    assert "too many values" in refusal("a: [" + "1, " * 50_000 + "1]").problem


def test_too_long_a_text_is_refused() -> None:
    assert "1048577 characters are too many" in refusal("#" * (2**20 + 1)).problem


def test_every_value_knows_its_line() -> None:
    document = read_document("a:\n  b:\n    - 1\n    - 2\nc: {d: 3}\n", file="f")
    assert [document.line(place) for place in ((), ("a", "b"), ("a", "b", 1), ("c", "d"))] == [1, 3, 4, 5]
    assert document.line(("c", "missing")) == 5


SINGLE = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18) + 1, 10**18 - 1)
    | st.text(st.characters(categories=["L", "N", "S"]))
)
JSON = st.recursive(
    SINGLE,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"\A[a-zé]{1,5}\Z"), inner, max_size=3)
    ),
    max_leaves=MAX_DEPTH,
)


@given(JSON)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert data(json.dumps(value, ensure_ascii=False)) == value
