"""What a study may hold that comes over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from autotune.errors import AutotuneError, StudyFileError
from autotune.service.admission import COMBINATIONS, admit
from autotune.service.settings import ServiceSettings
from autotune.spec.json_document import study_of_json
from autotune.spec.load import parse_study
from autotune.spec.part import FileName, Part
from autotune.spec.study import StudySpec

LAUNCH = {"command": ["python", "-m", "server", "{port}"]}


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    """Two folders that are read, one that is not, and links from the first to everywhere."""
    for folder in ("models/bert", "data", "secret", "models/.autotune"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("models/fake.json", "data/texts.txt", "secret/texts.txt", "models/.autotune/token"):
        (tmp_path / file).write_text("{}", encoding="utf-8")
    (tmp_path / "models" / "in").symlink_to(tmp_path / "data" / "texts.txt")
    (tmp_path / "models" / "out").symlink_to(tmp_path / "secret" / "texts.txt")
    (tmp_path / "models" / "up").symlink_to("../secret")
    (tmp_path / "models" / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "models" / "pipe")
    return ServiceSettings(
        roots=(tmp_path / "models", tmp_path / "data"), state=tmp_path / "models" / ".autotune"
    )


def study(**values: Any) -> StudySpec:
    problem = {"batch_size": 8, "sequence_length": 128}
    return study_of_json({"name": "s", "model": "random:bert-base", "problem": problem, **values})


def test_a_study_that_names_no_file_is_taken_as_it_is() -> None:
    spec = study()
    assert admit(spec, ServiceSettings()) == spec


def test_paths_below_a_root_are_taken_and_made_whole(settings: ServiceSettings, tmp_path: Path) -> None:
    problem = {"batch_size": 8, "texts": {"path": "texts.txt", "format": "text"}}
    spec = study(model=["path:bert", f"fake:{tmp_path}/models/fake.json"], problem=problem)
    admitted = admit(spec, settings)
    assert admitted.models == (f"path:{tmp_path}/models/bert", f"fake:{tmp_path}/models/fake.json")
    assert admitted.problem.texts is not None
    assert admitted.problem.texts.path == f"{tmp_path}/data/texts.txt"
    assert admitted.problem.texts.format == "text"


def test_a_link_is_followed_to_where_it_leads(settings: ServiceSettings, tmp_path: Path) -> None:
    assert admit(study(model="fake:in"), settings).model == f"fake:{tmp_path}/data/texts.txt"


OUTSIDE = (
    "/etc/passwd",
    "../secret/texts.txt",
    "bert/../../secret/texts.txt",
    "./.././secret//texts.txt",
    "..",
    "../models/../secret/texts.txt",
    "/{root}/../secret/texts.txt",
    "/{root}x/y",
    "out",
    "up/texts.txt",
    "circle",
    "pipe",
    "/dev/zero",
    "/proc/self/environ",
    "/proc/self/root/etc/passwd",
    "~/.ssh/id_rsa",
    "~root/.bashrc",
    "$HOME/x",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "//etc/passwd",
    "..\\secret\\texts.txt",
    "%2e%2e/secret/texts.txt",
    "..%2fsecret%2ftexts.txt",
    "%252e%252e%252fsecret",
    "..%c0%afsecret",
    "．．/secret/texts.txt",
    "bert\x00/../../secret",
    "x" * 4_000,
    ".autotune/token",
    "{root}/.autotune/token",
    "absent",
)


@pytest.fixture(params=range(len(OUTSIDE)))
def outside(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return OUTSIDE[request.param].replace("{root}", str(tmp_path / "models"))


def naming(path: str) -> Iterator[dict[str, Any]]:
    """A study with a path in each of its places."""
    base = {"name": "s", "model": "random:bert-base", "problem": {"batch_size": 8, "sequence_length": 128}}
    for kind in ("path", "onnx", "fake"):
        yield {**base, "model": f"{kind}:{path}"}
    yield {**base, "model": [f"path:{path}", "random:bert-base"]}
    yield {**base, "problem": {"batch_size": 8, "texts": path}}
    yield {**base, "problem": {"batch_size": 8, "texts": {"path": path, "key": "text"}}}
    yield {**base, "problem": {"batch_size": 8, "lengths": {"file": path}}}
    yield {**base, "quality": {"texts": path}}
    yield {**base, "quality": {"data": {"path": path, "label": "label"}, "metric": "accuracy"}}
    yield {**base, "price": {"type": "m5.large", "table": path}}


def test_no_path_of_a_study_leads_out_of_the_roots(settings: ServiceSettings, outside: str) -> None:
    for values in naming(outside):
        with pytest.raises(AutotuneError) as refused:
            admit(study_of_json(values), settings)
        assert refused.value.remedy, values
        assert "secret/texts.txt:" not in str(refused.value)


def test_whether_a_file_is_there_is_not_told_outside_of_the_roots(settings: ServiceSettings) -> None:
    told = []
    for path in ("/etc/passwd", "/etc/no-such-file"):
        with pytest.raises(StudyFileError) as refused:
            admit(study(model=f"fake:{path}"), settings)
        told.append(str(refused.value).replace(path, "PATH"))
    assert told[0] == told[1]


def test_without_a_root_no_file_is_read() -> None:
    for values in naming("x"):
        with pytest.raises(StudyFileError, match="reads no files"):
            admit(study_of_json(values), ServiceSettings())


def test_every_place_of_a_path_in_a_study_is_tried_above() -> None:
    """Which parts have a path: a new one must be admitted, too."""

    def parts(cls: type[Part]) -> Iterator[type[Part]]:
        for child in cls.__subclasses__():
            yield child
            yield from parts(child)

    named = {
        (part.__name__, name)
        for part in parts(Part)
        if part.__module__.startswith("autotune.spec")
        for name, hint in get_type_hints(part, include_extras=True).items()
        if str(FileName) in str(hint) or name in ("path", "file", "folder", "directory")
    }
    assert named == {
        ("NamedFile", "path"),
        ("TextsFile", "path"),
        ("DataFile", "path"),
        ("Price", "table"),
        ("Lengths", "file"),
        ("LaunchSpec", "directory"),
    }


@pytest.mark.parametrize(
    "source",
    [
        "hf:http://169.254.169.254/latest",
        "hf:https://evil.example/x",
        "hf://evil.example/x",
        "hf:169.254.169.254/latest",
        "hf:169.254.169.254",
        "hf:127.0.0.1/x",
        "hf:[::1]/x",
        "hf:../../etc/passwd",
        "hf:org/..",
        "hf:org/a..b",
        "hf:org/name@../../x",
        "hf:org/name@main/../../x",
        "hf:org/name@main//x",
        "hf:org/name@refs/..",
        "hf:org/name/more",
        "hf:org/name?x=y",
        "hf:org/name#x",
        "hf:org/name@",
        "hf:org\\name",
        "hf:org/name\n",
        "hf:",
    ],
    ids=range(21),
)
def test_a_name_of_the_hub_is_no_address_and_leads_nowhere_else(source: str) -> None:
    with pytest.raises(AutotuneError):
        admit(study(model=source), ServiceSettings(hub=True))


def test_a_name_of_the_hub_is_taken() -> None:
    for source in ("hf:bert-base-uncased", "hf:org/name@v1.0", "hf:org/name@refs/pr/1"):
        assert admit(study(model=source), ServiceSettings()).model == source


@pytest.mark.parametrize(
    "launch",
    [
        LAUNCH,
        {"environment": {"LD_PRELOAD": "/tmp/x.so"}},
        {"directory": "/tmp"},
    ],
    ids=range(3),
)
def test_a_study_says_how_a_server_is_started_only_where_the_operator_lets_it(launch: Any) -> None:
    spec = study(launch=launch)
    with pytest.raises(StudyFileError, match="--allow-commands"):
        admit(spec, ServiceSettings())
    assert admit(spec, ServiceSettings(commands=True)) == spec


def test_no_library_is_loaded_by_its_path() -> None:
    spec = study(search={"knobs": {"allocator": ["glibc", "/tmp/evil.so"]}})
    with pytest.raises(StudyFileError, match=r"search\.knobs\.allocator"):
        admit(spec, ServiceSettings(commands=True))


def test_what_was_found_in_a_table_is_not_taken_from_a_client() -> None:
    price = {"type": "m5.large", "per_hour": 0.001, "cores": 1, "table": "mine", "currency": "USD"}
    with pytest.raises(StudyFileError, match="looked up"):
        admit(StudySpec.model_validate(study().model_dump() | {"price": price}), ServiceSettings())


@pytest.mark.parametrize(
    "values",
    [
        {"search": {"instances": [*range(1, 1001)], "threads": [*range(1, 1001)]}, "scenario": "offline"},
        {"search": {"cores": [*range(1, 1001)], "sockets": [str(n) for n in range(1000)]}},
        {"problem": {"batch_size": 65_536, "sequence_length": 131_072}, "model": "hf:a/b"},
        {
            "problem": {"batch_size": 1, "sequence_length": 131_072},
            "model": "hf:a/b",
            "quality": {"sequences": 10_000},
        },
    ],
    ids=range(4),
)
@pytest.mark.timeout(30)
def test_an_absurd_study_is_refused_before_anything_is_made_of_it(values: Any) -> None:
    with pytest.raises(StudyFileError, match="too many"):
        admit(study(**values), ServiceSettings())


def test_lists_as_long_as_they_may_be_are_taken() -> None:
    most = int(COMBINATIONS**0.5)
    search = {"instances": [*range(1, most)], "threads": [*range(1, most)]}
    admit(study(search=search, scenario="offline"), ServiceSettings())


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(12),
        "a: &a [*a]",
        "model: !!python/object/apply:os.system [id]",
        "model: !!python/name:os.system",
        "model: !include /etc/passwd",
        "!!set {a, b}",
        "<<: {a: b}\nmodel: *x",
        "[" * 100_000,
        "{" * 100_000,
        "- " * 50_000,
        "a: " * 50_000,
        "? " * 50_000,
        "x: |\n" + " " * 900_000,
        "a: [" + "1, " * 300_000 + "1]",
        "".join(f"k{n}: {n}\n" for n in range(80_000)),
        "&" * 500_000,
        "x: " + "9" * 1_000_000,
        '"\\UFFFFFFFF"',
        "%YAML 9.9\n---\na: b",
        "a: b\n---\nc: d",
        "\x00",
    ],
    ids=range(21),
)
@pytest.mark.timeout(30)
def test_a_yaml_bomb_is_refused_at_once(text: str) -> None:
    with pytest.raises(StudyFileError):
        parse_study(text, name="s")


def test_a_study_of_json_is_bounded_as_one_of_yaml() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    for values in (
        {"model": deep},
        {"model": ["random:bert-base"] * 100_000},
        json.loads('{"model": 1e999}'),
    ):
        with pytest.raises(StudyFileError):
            study_of_json({"name": "s", "problem": {"batch_size": 1, "sequence_length": 1}, **values})
