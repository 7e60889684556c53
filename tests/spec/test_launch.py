"""`launch:` in a study file: how the user's server is started."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import StudyFileError
from autotune.model.stored_study import read_stored_study, study_document
from autotune.search.resume import study_differences
from autotune.spec.launch import LaunchSpec, filled, placeholders_of, template_fault
from autotune.spec.load import parse_study
from autotune.spec.study import StudySpec

LEAST = "model: random:bert-base\nproblem: {batch_size: 8, sequence_length: 128}\n"


def study(launch: str) -> StudySpec:
    return parse_study(f"{LEAST}launch: {launch}\n", name="s")


def launch_of(text: str) -> LaunchSpec:
    launch = study(text).launch
    assert launch is not None
    return launch


def test_a_command_is_a_list_of_words_or_one_text_as_for_a_shell() -> None:
    listed = launch_of('{command: ["uvicorn", "my app", "--port", "{port}", --workers, 2, 1.50]}')
    assert listed.command == ("uvicorn", "my app", "--port", "{port}", "--workers", "2", "1.50")
    assert launch_of("""{command: "uvicorn 'my app' --port {port} --workers 2 1.50"}""") == listed


def test_everything_else_has_its_usual_value() -> None:
    assert launch_of("{command: [run]}") == LaunchSpec(command=("run",), port=8000)
    whole = '{command: [run], port: 9000, environment: {A: "{port}", B: 3}, directory: "/srv/{instance}"}'
    assert launch_of(whole) == LaunchSpec(
        command=("run",), port=9000, environment={"A": "{port}", "B": "3"}, directory="/srv/{instance}"
    )
    assert parse_study(LEAST, name="s").launch is None


@pytest.mark.parametrize(
    ("launch", "path", "message"),
    [
        ("{command: []}", "launch.command", "an empty list is not allowed: write a list of 1 to"),
        ('{command: ""}', "launch.command", "write a list of 1 to"),
        ('{command: "\'"}', "launch.command", "no closing quotation"),
        ('{command: "srv {port} > log"}', "launch.command", "has '>', which wants a shell"),
        ('{command: "srv $PORT {port}"}', "launch.command", "bash -c"),
        ('{command: ["", x]}', "launch.command[0]", "its first word is empty"),
        ('{command: [run, "{prot}"]}', "launch.command[1]", "did you mean {port}?"),
        ('{command: "run {prot}"}', "launch.command", "did you mean {port}?"),
        ('{command: [run, "{"]}', "launch.command[1]", "write {{ for the character itself"),
        ('{command: [run, "}"]}', "launch.command[1]", "write }} for the character itself"),
        ('{command: [run, "{port:>5}"]}', "launch.command[1]", "is no placeholder"),
        ("{command: [run, {port: }]}", "launch.command[1]", "a text, quoted where it has braces"),
        ("{command: [run, true]}", "launch.command[1]", "a text, quoted where it has braces"),
        ('{command: [run, "a\\0b"]}', "launch.command[1]", "control characters"),
        ("{command: [run], port: 0}", "launch.port", "a whole number from 1 to 65535"),
        ("{command: [run], port: 65536}", "launch.port", "a whole number from 1 to 65535"),
        ('{command: [run], port: "80"}', "launch.port", "a whole number from 1 to 65535"),
        ("{command: [run], environment: {A-B: x}}", "launch.environment.A-B", "is no name of a variable"),
        (
            "{command: [run], environment: {AUTOTUNE_PLAN: x}}",
            "launch.environment.AUTOTUNE_PLAN",
            "by autotune itself",
        ),
        ('{command: [run], environment: {A: "{x}"}}', "launch.environment.A", "is no placeholder"),
        ("{command: [run], directory: srv}", "launch.directory", "is no absolute path"),
        ("{comand: [run]}", "launch.comand", "did you mean command?"),
        ("{command: }", "launch.command", "no value"),
        ("", "launch", "no value: write how your server is started"),
        ("run", "launch", "how your server is started"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(launch: str, path: str, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(launch)
    assert caught.value.path == path
    assert message in caught.value.problem


def test_the_server_makes_no_other_study() -> None:
    bare = parse_study(LEAST, name="s")
    one, other = (study_document(study(f"{{command: [{name}]}}")) for name in ("gunicorn", "uvicorn"))
    assert study_differences(one, other) == []
    assert study_differences(study_document(bare), one) == study_differences(one, study_document(bare)) == []


def test_a_stored_study_has_the_server_and_one_without_is_stored_as_ever() -> None:
    spec = study('{command: [run, "{port}"], environment: {A: b}}')
    assert read_stored_study(study_document(spec)).written == spec
    assert "launch" not in study_document(parse_study(LEAST, name="s"))


@given(st.text())
def test_a_text_with_doubled_braces_is_itself(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert filled(doubled, {}) == text
    assert placeholders_of(doubled) == frozenset()
    assert template_fault(doubled) == "" or "\0" in text
