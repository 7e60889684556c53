"""Preparing in child processes: once, atomically, and with a clear end whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from autotune.backends.ending import reply_of
from autotune.backends.trying import LONGEST_WAY_S
from autotune.cli import exits
from autotune.errors import MemoryShortageError, ModelError, PreparationError
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.calibration import CalibrationSource
from autotune.model.child import ChildResult
from autotune.model.sources import ResolvedModel
from autotune.preparation.preparing import prepare_calibration

PREPARE = """
import json, sys
from pathlib import Path
from autotune.preparation.preparing import prepare_artifact
from autotune.errors import AutotuneError
from autotune.model.artifacts.cache import ArtifactCache
from autotune.model.artifacts.manifest import read_manifest
from autotune.model.sources import resolve_model

if sys.argv[5]:
    Path(sys.argv[5], "cgroup.procs").write_text("0")
model = resolve_model(f"fake:{sys.argv[1]}", base=Path("/"), seed=0, offline=True)
try:
    artifact = prepare_artifact(
        model,
        sys.argv[2],
        "fp32",
        frozenset(sys.argv[4].split()),
        ArtifactCache(),
        timeout_s=float(sys.argv[3]),
    )
except AutotuneError as error:
    print(json.dumps({"error": type(error).__name__, "text": str(error)}))
else:
    made = read_manifest(artifact.directory)
    print(json.dumps({"directory": str(artifact.directory), "made": made.created_s}))
"""

PLUGIN = """
import json, os, time
from pathlib import Path
from autotune.backends.trying import given_up, trying
from autotune.errors import UnsupportedError

class Backend:
    name = "NAME"
    precisions = ("fp32",)
    packages = ("NAME",)
    install_hint = "pip install NAME"

    def unsupported(self, precision, isa, model_kind):
        return None

    def environment(self, threads):
        return {}

    def load(self, directory, precision, threads):
        raise AssertionError("nobody loads it")
"""
"""A backend that prepares nothing yet, and that nobody loads."""

SLOWPOKE = (
    PLUGIN.replace("NAME", "slowpoke")
    + '''
    def prepare(self, model, precision, directory):
        """Does what the model file says."""
        told = json.loads(model.path.read_text())
        (directory / "weights").write_text("w" * 1000)
        (model.path.parent / f"prepared-by-{os.getpid()}").touch()
        while told.get("wait_for") and not Path(told["wait_for"]).exists():
            time.sleep(0.01)
        b"x" * told.get("allocate", 0)
        if "upgrade" in told:
            described = Path(__file__).with_name("slowpoke-1.0.dist-info") / "METADATA"
            described.write_text(described.read_text().replace("1.0", told["upgrade"]))
        if "signal" in told:
            os.kill(os.getpid(), told["signal"])
        if "exit" in told:
            print("last line of the engine", flush=True)
            os._exit(told["exit"])
        if "raise" in told:
            raise eval(told["raise"]) from eval(told.get("because", "None"))
'''
)
"""A backend that prepares fake models as their files tell it to."""


WAYS = (
    PLUGIN.replace("NAME", "wanderer")
    + '''
    def prepare(self, model, precision, directory):
        """Tries the ways that the model file names, and does what it says of each."""
        failed = given_up(directory)
        (model.path.parent / f"prepared-by-{os.getpid()}").touch()
        for way, does in json.loads(model.path.read_text()).items():
            if way in failed:
                continue
            with trying(directory, failed, way, longest_s=1):
                (directory / way).touch()
                if does == "hang":
                    time.sleep(60)
                elif does:
                    os.kill(os.getpid(), does)
            (directory / "failed.json").write_text(json.dumps(failed))
            return
'''
)
"""A backend that tries ways as those of export are tried."""


class Host:
    """Starts processes that prepare a model whose file says what the engine does."""

    def __init__(self, folder: Path, plugins: Path, backend: str = "slowpoke") -> None:
        self.folder, self.backend = folder, backend
        self.cache = folder / "cache"
        self.model = folder / "model.json"
        self.environment = {**os.environ, "PYTHONPATH": str(plugins), "AUTOTUNE_CACHE": str(self.cache)}

    def start(
        self, timeout_s: float = 60, isa: str = "", cgroup: Path | None = None, **told: Any
    ) -> subprocess.Popen[bytes]:
        self.model.write_text(json.dumps(told))
        told_cgroup = "" if cgroup is None else str(cgroup)
        arguments = [str(self.model), self.backend, str(timeout_s), isa, told_cgroup]
        return subprocess.Popen(
            [sys.executable, "-P", "-c", PREPARE, *arguments], env=self.environment, stdout=subprocess.PIPE
        )

    def prepare(self, **told: Any) -> dict[str, Any]:
        return self.finish(self.start(**told))

    def finish(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        output, _ = process.communicate(timeout=120)
        answer = json.loads(output)
        assert isinstance(answer, dict)
        return answer

    def children(self) -> list[int]:
        """The processes that have prepared this model so far."""
        return [int(file.name.rpartition("-")[2]) for file in self.folder.glob("prepared-by-*")]

    def leftovers(self) -> list[Path]:
        return list((self.cache / "staging").glob("*"))


@pytest.fixture
def plugins(install_backend: Callable[[str, str, str], Path]) -> Path:
    return install_backend("slowpoke", "slowpoke", SLOWPOKE)


@pytest.fixture
def host(tmp_path: Path, plugins: Path) -> Host:
    return Host(tmp_path, plugins)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_artifact_is_made_once_and_found_afterwards(host: Host) -> None:
    first, second = host.prepare(), host.prepare()
    assert first == second
    assert len(host.children()) == 1
    assert host.leftovers() == []


def test_processes_that_prepare_the_same_model_at_once_make_it_once(host: Host) -> None:
    go = host.folder / "go"
    processes = [host.start(wait_for=str(go)) for _ in range(4)]
    wait_until(lambda: len(host.children()) > 0)
    go.touch()
    answers = [host.finish(process) for process in processes]
    assert answers == [answers[0]] * 4
    assert len(host.children()) == 1


def test_killing_the_parent_leaves_nothing_alive_and_the_next_run_works(host: Host) -> None:
    go = host.folder / "go"
    parent = host.start(wait_for=str(go))
    wait_until(lambda: len(host.children()) == 1)
    child = host.children()[0]
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_alive(child))
    assert len(host.leftovers()) == 1
    go.touch()
    assert Path(host.prepare(wait_for=str(go))["directory"]).is_dir()
    assert host.leftovers() == []


def test_an_artifact_that_has_been_touched_is_made_again(host: Host) -> None:
    weights = Path(host.prepare()["directory"]) / "weights"
    weights.chmod(0o644)
    weights.write_text("w")
    assert Path(host.prepare()["directory"]) == weights.parent
    assert weights.stat().st_size == 1000


def test_another_version_of_the_engine_has_another_artifact(host: Host, plugins: Path) -> None:
    first = host.prepare()
    metadata = plugins / "slowpoke-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    assert host.prepare()["directory"] != first["directory"]


def test_what_an_engine_made_while_it_was_replaced_is_not_kept(host: Host) -> None:
    answer = host.prepare(upgrade="2.0")
    assert answer["error"] == "PreparationError"
    assert "packages were replaced while it was made: slowpoke: 1.0 -> 2.0" in answer["text"]
    assert ArtifactCache(host.cache).entries() == ()
    assert host.leftovers() == []


def test_an_artifact_is_found_by_cpus_that_differ_in_what_no_engine_asks_for(host: Host) -> None:
    assert host.prepare(isa="avx2 sse4a") == host.prepare(isa="avx2 svm")
    assert host.prepare(isa="avx2") != host.prepare(isa="avx2 avx512_fp16")


def test_machine_code_is_found_only_by_cpus_with_the_same_flags(
    tmp_path: Path, install_backend: Callable[[str, str, str], Path]
) -> None:
    native = SLOWPOKE.replace("packages =", "compiles_natively = True\n    packages =")
    host = Host(tmp_path, install_backend("slowpoke", "slowpoke", native))
    assert host.prepare(isa="avx2 sse4a") == host.prepare(isa="avx2 sse4a")
    assert host.prepare(isa="avx2 sse4a") != host.prepare(isa="avx2")


def test_a_preparation_that_takes_too_long_is_ended(host: Host) -> None:
    answer = host.prepare(timeout_s=2, wait_for="/nowhere")
    assert answer["error"] == "PreparationError"
    assert "took longer than 2 s" in answer["text"]
    assert not any(map(is_alive, host.children()))
    assert host.leftovers() == []


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        ({"raise": "UnsupportedError('no such operator')"}, "UnsupportedError", "no such operator"),
        ({"raise": "MemoryError()"}, "MemoryShortageError", "not enough memory"),
        ({"raise": "RuntimeError('std::bad_alloc')"}, "MemoryShortageError", "not enough memory"),
        ({"raise": "OSError(28, 'No space left on device')"}, "CacheError", "AUTOTUNE_CACHE"),
        ({"raise": "RuntimeError('os error 28')"}, "CacheError", "autotune cache prune"),
        ({"raise": "PermissionError(13, 'denied', str(directory))"}, "CacheError", "AUTOTUNE_CACHE"),
        ({"raise": "PermissionError(13, 'denied', '/.cache')"}, "PreparationError", "'/.cache'"),
        (
            {"raise": "UnsupportedError('no such operator')", "because": "KeyError('operator')"},
            *("UnsupportedError", "no such operator"),
        ),
        (
            {"raise": "UnsupportedError('cannot compile')", "because": "RuntimeError('std::bad_alloc')"},
            *("MemoryShortageError", "not enough memory"),
        ),
        (
            {"raise": "UnsupportedError('cannot convert')", "because": "RuntimeError('os error 28')"},
            *("CacheError", "autotune cache prune"),
        ),
        ({"raise": "KeyError('layer')"}, "PreparationError", "KeyError: 'layer'"),
        ({"signal": int(signal.SIGKILL)}, "PreparationError", "run it again: it goes on"),
        ({"signal": int(signal.SIGSEGV)}, "PreparationError", "crashed with SIGSEGV"),
        ({"signal": int(signal.SIGABRT)}, "PreparationError", "run it again; if it ends so once more"),
        ({"exit": 3}, "PreparationError", "last line of the engine"),
    ],
)
def test_a_preparation_that_fails_says_why(host: Host, told: dict[str, Any], error: str, words: str) -> None:
    answer = host.prepare(**told)
    assert answer["error"] == error
    assert words in answer["text"]
    assert host.leftovers() == []


@pytest.mark.quiet  # the kernel counts what it kills for the whole host
@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        (
            {"allocate": 2_000_000_000},
            *("MemoryShortageError", "was killed by the kernel for want of memory"),
        ),
        (
            {"signal": int(signal.SIGKILL)},
            *("PreparationError", "was killed by somebody (SIGKILL), not by the kernel"),
        ),
    ],
)
def test_a_kill_for_want_of_memory_is_told_from_every_other(
    host: Host, memory_cgroup: Path, told: dict[str, Any], error: str, words: str
) -> None:
    answer = host.finish(host.start(cgroup=memory_cgroup, **told))
    assert answer["error"] == error
    assert words in answer["text"]
    assert host.leftovers() == []


@pytest.mark.parametrize(
    ("oom_killed", "words", "helps"),
    [
        (True, "was killed by the kernel for want of memory", ("raise the memory limit",)),
        (False, "was killed by somebody (SIGKILL), not by the kernel", ("run it again: it goes on",)),
        (None, "which the kernel does not tell here", ("raise the memory limit", "run it again: it goes on")),
    ],
)
def test_what_helps_against_a_kill_hangs_on_who_killed(
    oom_killed: bool | None, words: str, helps: tuple[str, ...]
) -> None:
    killed = ChildResult(None, -signal.SIGKILL, "loading\nlast line\n", timed_out=False)
    with pytest.raises(PreparationError, match="preparing the reference was killed") as caught:
        reply_of(killed, "the reference", 60, oom_killed=oom_killed)
    assert words in caught.value.problem
    assert all(remedy in caught.value.remedy for remedy in helps)
    assert caught.value.remedy.endswith("its last words: loading | last line")


@pytest.mark.parametrize(
    ("returncode", "stderr"),
    [
        (-signal.SIGABRT, "terminate called after throwing an instance of 'std::bad_alloc'\n"),
        (1, "Traceback (most recent call last):\n  line\nMemoryError\n"),
    ],
)
def test_a_child_whose_last_words_are_of_memory_has_lacked_it(returncode: int, stderr: str) -> None:
    ended = ChildResult(None, returncode, stderr, timed_out=False)
    with pytest.raises(MemoryShortageError) as caught:
        reply_of(ended, "the reference", 60, oom_killed=False)
    assert "raise the memory limit" in caught.value.remedy


@pytest.fixture
def wanderer(tmp_path: Path, install_backend: Callable[[str, str, str], Path]) -> Host:
    return Host(tmp_path, install_backend("wanderer", "wanderer", WAYS), "wanderer")


def test_a_way_that_ends_its_process_or_never_ends_is_given_up_for_the_next(wanderer: Host) -> None:
    answer = wanderer.prepare(first=signal.SIGSEGV, second="hang", third=signal.SIGABRT, fourth=None)
    made = Path(answer["directory"])
    assert json.loads((made / "failed.json").read_text()) == {
        "first": "ends its process with SIGSEGV",
        "second": f"takes longer than {LONGEST_WAY_S} s",
        "third": "ends its process with SIGABRT",
    }
    left = {file.name for file in made.iterdir()} - {"manifest.json", "inputs.json"}
    assert left == {"failed.json", "fourth"}
    assert len(wanderer.children()) == 4
    assert wanderer.leftovers() == []


def test_a_way_that_somebody_kills_is_not_given_up(wanderer: Host) -> None:
    answer = wanderer.prepare(first=signal.SIGKILL, second=None)
    assert "SIGKILL" in answer["text"]
    assert len(wanderer.children()) == 1


def test_what_is_missing_of_a_model_that_is_not_here_is_said_to_be_needed(tmp_path: Path) -> None:
    gone = ResolvedModel("path:gone", "path", "ab" * 32, None)
    with pytest.raises(ModelError, match="path:gone is not here") as caught:
        prepare_calibration(gone, CalibrationSource(), ArtifactCache(tmp_path), timeout_s=60)
    assert "--base" in caught.value.remedy


def test_a_cache_that_cannot_be_written_says_what_to_do(host: Host) -> None:
    host.cache.write_text("in the way")
    answer = host.prepare()
    assert answer["error"] == "CacheError"
    assert "AUTOTUNE_CACHE" in answer["text"]


@pytest.mark.engines
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_parent_alone_ends_what_prepares_with_a_real_engine(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "study.yaml").write_text(
        "model: random:minilm-l6\nproblem: {batch_size: 1, sequence_length: 16}\n"
        "search: {backends: [pytorch]}\n"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "autotune", "tune", "study.yaml"],
        cwd=tmp_path,
        env={**os.environ, "AUTOTUNE_CACHE": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            children: list[psutil.Process] = []
            while not children and process.poll() is None:
                time.sleep(0.05)
                children = preparing_children(process.pid)
            process.send_signal(number)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == exits.INTERRUPTED, told
    assert "[1/" not in told, "it has measured something first"
    assert "Traceback" not in told
    assert children != []
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def preparing_children(parent: int) -> list[psutil.Process]:
    """The children of a process that prepare something."""
    found = []
    for child in psutil.Process(parent).children():
        try:
            words = child.cmdline()
        except psutil.Error:  # it has ended, and the parent is about to wait for it
            continue
        if any("preparation.child" in word for word in words):
            found.append(child)
    return found
