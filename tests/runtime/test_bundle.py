"""A bundle is a plan with all that it is served with: it travels, and says where it cannot serve."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotune
from autotune.bundle import write
from autotune.bundle.requirements import pinned_requirements
from autotune.bundle.write import write_bundle
from autotune.errors import ExportError
from autotune.plan.document import Plan, format_plan, parse_plan

pytestmark = pytest.mark.engines

PlanFile = Callable[..., Path]

REPOSITORY = Path(autotune.__file__).parents[1]

TEXTS = ["A good day.", "The weather is fine today, and nobody complains.", "Quantised?"]
STREAM = {"batch_size": 2, "texts": "texts.txt", "include": "tokenization", "cache": {"size": 3}}

ANSWER = """
import json, sys
import autotune.runtime
encoder = autotune.runtime.sentence_transformer()
texts = json.loads(sys.argv[1])
print(json.dumps({
    "hex": [answer.tobytes().hex() for answer in encoder.session.answers(texts)],
    "query": encoder.encode_query(texts).tobytes().hex(),
    "from": [autotune.__file__, str(encoder.session.planned.artifact), sys.executable],
}))
"""


@pytest.fixture
def plan(plan_file: PlanFile, minilm: Path, tmp_path: Path) -> Plan:
    """A plan of a real model in eager PyTorch, whose requests are texts."""
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS * 3))
    file = plan_file(minilm, STREAM, padding="bucket", batching="arrival")
    return parse_plan(file.read_bytes())


def start(bundle: Path, program: str, *words: str, python: str = sys.executable) -> Any:
    """Have a bundle's own script start a program; give what it prints, or the words of its refusal."""
    command = ["bash", str(bundle / "start.sh"), "0", python, "-P", "-c", program, *words]
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": python}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd="/")
    return json.loads(ended.stdout.splitlines()[-1]) if ended.returncode == 0 else ended.stderr


def test_it_holds_all_that_is_served_and_nothing_of_where_it_was_made(plan: Plan, tmp_path: Path) -> None:
    bundle = write_bundle(plan, tmp_path / "bundle")
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert names >= {
        *("plan.json", "bundle.json", "requirements.txt", "start.sh", "README.md", "model/tokenizer.json"),
        *(
            "model/config.json",
            "artifact/manifest.json",
            "artifact/model.safetensors",
            "artifact/inputs.json",
        ),
        *("requests/requests.json", "requests/tokenizer.json", "model/modules.json"),
    }
    text = (bundle / "plan.json").read_text()
    assert str(Path.home()) not in json.dumps(json.loads(text)["instances"])
    assert parse_plan(text).id == plan.id, "autotune itself reads it, too"
    assert {path.suffix for path in (bundle / "model").rglob("*") if path.is_file()} == {".json"}


def test_it_serves_from_another_folder_what_the_plan_serves_bit_by_bit(plan: Plan, tmp_path: Path) -> None:
    packed = write_bundle(plan, tmp_path / "packed.tar")
    elsewhere = tmp_path / "else where"
    with tarfile.open(packed) as tar:
        tar.extractall(elsewhere, filter="data")
    shutil.copytree(elsewhere / "packed", elsewhere / "copy")
    texts = json.dumps(TEXTS)
    first, second = (start(elsewhere / name, ANSWER, texts) for name in ("packed", "copy"))
    assert first["hex"] == second["hex"] == served_here(plan, tmp_path, texts)["hex"]
    assert first["from"][1] == str(elsewhere / "packed" / "artifact")


def served_here(plan: Plan, folder: Path, texts: str) -> Any:
    """What the plan answers where it was made."""
    file = folder / "here.json"
    file.write_text(format_plan(plan))
    words = ["-m", "autotune.runtime.start", str(file), "0", sys.executable, "-P", "-c", ANSWER, texts]
    ended = subprocess.run([sys.executable, "-P", *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_what_differs_is_refused_before_the_program_starts(plan: Plan, tmp_path: Path) -> None:
    bundle = write_bundle(plan, tmp_path / "bundle")
    record = bundle / "bundle.json"
    stated = json.loads(record.read_text())
    cases: list[tuple[dict[str, Any], str]] = [
        ({"architecture": "s390x"}, "the bundle is for s390x, and this machine is"),
        ({"python": "2.7"}, "measured with Python 2.7"),
        ({"format": "autotune.bundle/9"}, "autotune.bundle/9"),
        (
            {"files": {**stated["files"], "artifact/model.safetensors": "0" * 64}},
            "artifact/model.safetensors",
        ),
        ({"files": {**stated["files"], "artifact/gone": "0" * 64}}, "artifact/gone"),
    ]
    for change, said in cases:
        record.write_text(json.dumps({**stated, **change}))
        refusal = start(bundle, ANSWER, json.dumps(TEXTS))
        assert said in refusal
        assert "Traceback" not in refusal
    record.write_text("{")
    assert "no record of a bundle" in start(bundle, ANSWER, json.dumps(TEXTS))


def test_a_bundle_that_is_not_whole_is_refused_and_is_to_be_unpacked_again(
    plan: Plan, tmp_path: Path
) -> None:
    bundle = write_bundle(plan, tmp_path / "bundle")
    weights = bundle / "artifact" / "model.safetensors"
    changed = weights.read_bytes()[:-1] + b"?"
    cases: list[tuple[Path, bytes | None, str]] = [
        (bundle / "bundle.json", None, f"the bundle {bundle} has no bundle.json"),
        (bundle / "artifact" / "manifest.json", None, "is none"),
        (bundle / "requests" / "manifest.json", None, "is none"),
        (weights, changed, "artifact/model.safetensors"),
    ]
    for file, content, said in cases:
        whole = file.read_bytes()
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        refusal = start(bundle, ANSWER, json.dumps(TEXTS))
        file.write_bytes(whole)
        assert said in refusal
        assert "unpack the bundle again" in refusal
        assert "autotune tune" not in refusal
        assert "Traceback" not in refusal
    (bundle / "artifact").rename(tmp_path / "artifact")
    refusal = start(bundle, ANSWER, json.dumps(TEXTS))
    assert "is not here" in refusal
    assert "unpack the bundle again" in refusal


def test_the_script_of_a_bundle_says_how_it_is_called(plan: Plan, tmp_path: Path) -> None:
    script = write_bundle(plan, tmp_path / "bundle") / "start.sh"
    usage = "usage: start.sh INSTANCE COMMAND..."
    cases = [(["--help"], 0), (["-h"], 0), ([], 2), (["0"], 2), (["one", "true"], 2), (["-1", "true"], 2)]
    for words, status in cases:
        ended = subprocess.run(["bash", str(script), *words], capture_output=True, text=True, check=False)
        told, silent = (ended.stderr, ended.stdout) if status else (ended.stdout, ended.stderr)
        assert (ended.returncode, silent) == (status, ""), words
        assert told.startswith(f"{usage}\n")


def test_a_changed_artifact_is_not_copied_though_its_time_was_kept(plan: Plan, tmp_path: Path) -> None:
    kept = Path(plan.instances[0].worker.artifact)
    own = tmp_path / "own"
    shutil.copytree(kept, own)  # with their times; the cache's own is others', too
    worker = plan.instances[0].worker.model_copy(update={"artifact": str(own)})
    changed = plan.model_copy(
        update={"instances": (plan.instances[0].model_copy(update={"worker": worker}),)}
    )
    weights = own / "model.safetensors"
    before = weights.stat()
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ExportError, match=r"was changed: model\.safetensors"):
        write_bundle(changed, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_python_without_autotune_is_named(plan: Plan, tmp_path: Path) -> None:
    script = write_bundle(plan, tmp_path / "bundle") / "start.sh"
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    for python in (str(bare / "bin" / "python"), "no-such-python"):
        environment = {"PATH": "/usr/bin:/bin", "PYTHON": python}
        words = ["bash", str(script), "0", "true"]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        assert (ended.returncode, ended.stdout) == (16, "")
        problem, remedy = ended.stderr.splitlines()
        assert problem == f"start.sh: {python} has no autotune, or is older than Python 3.11"
        assert "PYTHON=venv/bin/python" in remedy
    if shutil.which("shellcheck"):
        checked = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


def test_nothing_is_written_over_that_is_no_bundle(plan: Plan, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "diary.txt").write_text("mine")
    file = tmp_path / "file"
    file.write_text("mine")
    for target, said in ((own, "is no bundle"), (file, "is a file")):
        with pytest.raises(ExportError, match=said) as refused:
            write_bundle(plan, target, force=True)
        assert refused.value.remedy
    assert (own / "diary.txt").read_text() == "mine"
    bundle = write_bundle(plan, tmp_path / "bundle")
    with pytest.raises(ExportError, match="there already"):
        write_bundle(plan, bundle)
    (bundle / "artifact" / "manifest.json").unlink()
    write_bundle(plan, bundle, force=True)
    assert (bundle / "artifact" / "manifest.json").is_file()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".autotune-")]


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_what_another_export_has_written_meanwhile_is_kept(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    target = tmp_path / name
    fill = write._fill

    def fill_while_another_writes(folder: Path, *given: Any) -> None:
        fill(folder, *given)
        if name.endswith(".tar"):
            target.write_text("the other one's")
        else:
            target.mkdir()
            (target / "plan.json").write_text("the other one's")

    monkeypatch.setattr(write, "_fill", fill_while_another_writes)
    with pytest.raises(ExportError, match="there already"):
        write_bundle(plan, target)
    kept = target if target.is_file() else target / "plan.json"
    assert kept.read_text() == "the other one's"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".autotune-")] == []


def test_a_terminated_export_leaves_nothing(
    plan: Plan,
    run_command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "its.json").write_text(format_plan(plan))
    monkeypatch.setattr(shutil, "copyfile", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    code, out, _ = run_command(tmp_path, "export", "./its.json", "--bundle", "made")
    assert (code, out) == (130, "")
    assert not (tmp_path / "made").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".autotune-")] == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_artifact_that_is_gone_is_no_bundle(plan: Plan, tmp_path: Path) -> None:
    worker = plan.instances[0].worker.model_copy(update={"artifact": str(tmp_path / "gone")})
    instance = plan.instances[0].model_copy(update={"worker": worker})
    without = plan.model_copy(update={"instances": (instance,)})
    with pytest.raises(ExportError, match="artifact of the plan is gone"):
        write_bundle(without, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_command_writes_it_and_says_where(
    plan: Plan, run_command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "its.json").write_text(format_plan(plan))
    code, out, err = run_command(tmp_path, "export", "./its.json", "--bundle", "made.tar", "--json")
    assert (code, json.loads(out)) == (0, ["made.tar"]), err
    with tarfile.open(tmp_path / "made.tar") as tar:
        assert "made/start.sh" in tar.getnames()
    refused = [
        (["--bundle", "made.tar"], 14, "is there already"),
        (["--bundle", "other", "--to", "json"], 2, "leave --to and -o out"),
        ([], 2, "name a target"),
    ]
    for words, expected, said in refused:
        code, out, err = run_command(tmp_path, "export", "./its.json", *words)
        assert (code, out) == (expected, ""), err
        assert said in " ".join(err.split())
    assert not (tmp_path / "other").exists()


def test_requirements_are_everything_that_is_needed_and_installed() -> None:
    lines = pinned_requirements(["tokenizers"])
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(names)
    assert "huggingface-hub" in names
    assert "tokenizers" in names
    with pytest.raises(ExportError, match="no-such-package, which the plan is served with, is not installed"):
        pinned_requirements(["no-such-package"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fresh_virtual_environment_serves_the_same_answers_bit_by_bit(
    plan_file: PlanFile, minilm: Path, tmp_path: Path
) -> None:
    """Of ONNX Runtime, without torch, transformers, or anything else that tunes."""
    pytest.importorskip("onnxruntime")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS * 3))
    file = plan_file(
        minilm, STREAM, padding="bucket", batching="arrival", backend="onnxruntime", precision="int8-dynamic"
    )
    plan = parse_plan(file.read_bytes())
    bundle = write_bundle(plan, tmp_path / "elsewhere" / "bundle")
    environment = tmp_path / "fresh"
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    installs = (["--no-deps", str(REPOSITORY)], ["-r", str(bundle / "requirements.txt")])
    for words in installs:
        ended = subprocess.run(
            [python, "-m", "pip", "install", "-q", *words], capture_output=True, text=True, check=False
        )
        if ended.returncode != 0 and "No matching distribution" not in ended.stderr:
            pytest.skip(f"pip cannot install here: {ended.stderr.splitlines()[-1:]}")
        assert ended.returncode == 0, ended.stderr
    got = start(bundle, ANSWER, json.dumps(TEXTS), python=python)
    assert isinstance(got, dict), got
    assert got["from"][0].startswith(str(environment))
    assert got["from"][2] == python
    here = served_here(plan, tmp_path, json.dumps(TEXTS))
    assert (got["hex"], got["query"]) == (here["hex"], here["query"])
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "optuna", "sqlalchemy", "pydantic"} & set(listed.lower().split())
