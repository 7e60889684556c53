"""The form stands for a study file: every value of the schema has its field, and what is typed is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autotune.service.pages.form.fields import FIELD, form_fields, form_sections
from autotune.service.pages.form.written import fault_field, read_typed, study_text, value_text
from autotune.spec.schema import study_schema

LEAST = {
    "name": "one",
    "model": "random:minilm-l6",
    "problem.batch_size": "8",
    "problem.sequence_length": "64",
}


def typed(**values: str) -> dict[str, str]:
    """Fields by their places, dots written as `__`."""
    given_here = {name.replace("__", "."): value for name, value in values.items()}
    return {FIELD + path: text for path, text in {**LEAST, **given_here}.items()}


def leaves(schema: dict[str, Any], path: str = "") -> list[str]:
    if "properties" not in schema:
        return [path]
    return [
        leaf
        for name, inside in schema["properties"].items()
        for leaf in leaves(inside, f"{path}.{name}".lstrip("."))
    ]


def test_every_value_of_a_study_file_has_a_field_that_explains_it() -> None:
    assert sorted(form_fields()) == sorted(leaves(study_schema()))
    assert [field.path for field in form_fields().values() if not field.about] == []


def test_what_must_be_written_is_marked() -> None:
    required = {field.path for field in form_fields().values() if field.is_required}
    assert {"name", "model", "problem.batch_size"} <= required
    assert "objective" not in required


def test_the_sections_that_nearly_every_study_has_come_first() -> None:
    assert [section.name for section in form_sections() if section.is_usual] == [
        "name", "model", "problem", "objective", "limits", "budget",
    ]  # fmt: skip


def test_what_is_typed_is_written_as_a_study_file_and_read_as_the_command_line_reads_it() -> None:
    text = study_text(
        typed(
            objective="{latency: p99}",
            limits__latency="{p99: 50ms}",
            search__instances="[1, 2]",
            search__smt="true",
            measure__warmup="2s",
            problem__lengths__values="",
        )
    )
    assert text.startswith(
        "name: one\nmodel: random:minilm-l6\nproblem:\n  batch_size: 8\n  sequence_length: 64\n"
        "objective: {latency: p99}\nlimits:\n  latency: {p99: 50ms}\n"
    )
    assert "search:\n  instances: [1, 2]\n  smt: true\n" in text
    assert "lengths" not in text
    spec, faults = read_typed(text)
    assert faults == ()
    assert spec is not None
    assert spec.search.instances == (1, 2)
    assert spec.measure.warmup_s == 2.0


def test_parts_of_parts_are_written_below_them() -> None:
    fields = {
        FIELD + "model": "random:minilm-l6",
        FIELD + "name": "one",
        FIELD + "problem.batch_size": "8",
        FIELD + "problem.lengths.lognormal.median": "20",
        FIELD + "problem.lengths.lognormal.sigma": "0.5",
        FIELD + "problem.lengths.lognormal.max": "128",
    }
    text = study_text(fields)
    assert "  lengths:\n    lognormal:\n      median: 20\n      sigma: 0.5\n      max: 128\n" in text
    assert read_typed(text)[1] == ()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("8", "8"),
        ("[1, 2]", "[1, 2]"),
        ("{p99: 50ms}", "{p99: 50ms}"),
        ("{p99: 50ms", '"{p99: 50ms"'),
        ("1 # one", '"1 # one"'),
        ("a: b", '"a: b"'),
        ("8\nmodel: other", '"8\\nmodel: other"'),
        ("- 1", '"- 1"'),
        ("&a 1", "&a 1"),
        ("", '""'),
    ],
)
def test_a_value_is_written_as_typed_only_if_it_is_one_value(text: str, written: str) -> None:
    assert value_text(text, is_text=False) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [("fake:a.json", "fake:a.json"), ("yes", '"yes"'), ("8", '"8"'), ("a b", '"a b"'), ("#", '"#"')],
)
def test_a_text_stays_a_text(text: str, written: str) -> None:
    assert value_text(text, is_text=True) == written


@given(st.text(max_size=60), st.booleans(), st.sampled_from(["8", "[1, 2]"]))
def test_no_value_reaches_into_another(text: str, is_text: bool, beside: str) -> None:
    """Whatever is typed into one field, the next one is what was typed there."""
    written = f"one: {value_text(' '.join(text.split()), is_text=is_text)}\ntwo: {beside}\n"
    try:
        values = yaml.safe_load(written)
    except yaml.YAMLError:
        return  # such as an alias to nothing, which the study file's reader refuses, too
    assert [*values] == ["one", "two"]
    assert values["two"] == json.loads(beside)


@pytest.mark.parametrize(
    ("place", "field"),
    [
        ("search.instances[2]", "search.instances"),
        ("limits.latency.p99", "limits.latency"),
        ("nowhere.at.all", ""),
        ("", ""),
    ],
)
def test_a_fault_is_told_at_its_field(place: str, field: str) -> None:
    assert fault_field(place) == (FIELD + field if field else "")


def test_a_study_without_a_name_is_told_so_and_not_after_a_file() -> None:
    spec, faults = read_typed("model: random:minilm-l6\nproblem: {batch_size: 8, sequence_length: 64}\n")
    assert spec is None
    assert [(fault.path, fault.fault.split(":")[0]) for fault in faults] == [("name", "missing")]
